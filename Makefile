# Everything a person does with this project; `make help` lists it.

SHELL      := /bin/bash
VERSION    := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS    := -s -w -X main.version=$(VERSION)
TOOLS      := $(CURDIR)/build/tools
PHASE      := setup/phase.sh
# Packages without input or output, for the fast loop.
PURE       := $(patsubst %,./%/...,$(wildcard cronium schedule workflow secrets views)) ./internal/architecture
EXECUTIONS ?= 500

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  DATABASE_URL, CRONIUM_LISTEN and CRONIUM_DATA are taken by make run; bin/cronium serve --help explains them."

.PHONY: setup
setup: ## make this machine ready: packages, front-end files, engine, runtime image
	@setup/machine.sh test

.PHONY: run
run: ## install what is missing, build, and start Cronium
	@setup/machine.sh run
	@$(PHASE) "Building" $(MAKE) --no-print-directory build
	@exec bin/cronium serve

.PHONY: build
build: ## build bin/cronium and the agents beside it
	@setup/frontend.sh
	@mkdir -p bin
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/cronium ./cmd/server
	@for arch in amd64 arm64; do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -tags grpcnotrace -ldflags '$(LDFLAGS)' -o bin/cronium-agent-linux-$$arch ./cmd/agent || exit 1; \
	done
	@ln -f bin/cronium-agent-linux-$$(go env GOARCH) bin/cronium-agent

.PHONY: generate
generate: $(TOOLS)/.installed ## make the generated files anew (templ, protobuf)
	@PATH="$(TOOLS):$$PATH" go generate ./...
	@PATH="$(TOOLS):$$PATH" templ generate -log-level error

$(TOOLS)/.installed: go.mod
	@mkdir -p $(TOOLS)
	@GOBIN=$(TOOLS) go install tool
	@touch $@

.PHONY: check
check: ## the fast loop: vet, lint, pure packages, import rules
	@$(PHASE) "go vet" go vet ./...
	@$(PHASE) "gofmt" checks/format.sh
	@$(PHASE) "staticcheck" go tool staticcheck ./...
	@$(PHASE) "unit tests" go test -count=1 $(PURE)

.PHONY: test
test: ## everything: generated files, lint, all tests with database, containers, browser, faults
	@$(PHASE) "make test" setup/machine.sh test $(MAKE) --no-print-directory test-on-ready-machine

.PHONY: test-on-ready-machine
test-on-ready-machine: $(TOOLS)/hold
	@$(PHASE) "generated files" checks/generated.sh
	@$(PHASE) "build" $(MAKE) --no-print-directory build
	@$(PHASE) "go vet" go vet ./...
	@$(PHASE) "gofmt" checks/format.sh
	@$(PHASE) "staticcheck" go tool staticcheck ./...
	@$(PHASE) "known vulnerabilities" checks/vulnerabilities.sh
	@$(PHASE) "go test" $(TOOLS)/hold go test -count=1 -p 2 -timeout 20m ./...

.PHONY: $(TOOLS)/hold
$(TOOLS)/hold:
	@go build -o $@ ./internal/testenv/hold

.PHONY: test-faults
test-faults: ## the fault run alone; EXECUTIONS=10000 for a long one
	@$(PHASE) "faults" setup/machine.sh test $(MAKE) --no-print-directory faults-on-ready-machine

.PHONY: faults-on-ready-machine
faults-on-ready-machine: $(TOOLS)/hold
	@$(MAKE) --no-print-directory build
	@CRONIUM_FAULT_EXECUTIONS=$(EXECUTIONS) $(TOOLS)/hold go test -v -count=1 -timeout 120m ./internal/faults

.PHONY: bench
bench: ## measure; NAME=start_warm measures one figure
	@setup/machine.sh test $(MAKE) --no-print-directory bench-on-ready-machine

.PHONY: bench-on-ready-machine
bench-on-ready-machine: build
	@go run ./internal/bench $(NAME)

.PHONY: image
image: ## make the runtime image anew, with today's packages
	@setup/packages.sh run
	@setup/engine.sh with setup/image.sh force

.PHONY: stop-engine
stop-engine: ## end the container engine that make run started by hand
	@setup/engine.sh stop

.PHONY: clean
clean: ## remove what was built here
	rm -rf bin build node_modules static/vendor
