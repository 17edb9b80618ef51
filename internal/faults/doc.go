// Package faults shows that nothing is lost whatever is killed. It is a test:
//
//	go test ./internal/faults                                   40 executions
//	CRONIUM_FAULT_EXECUTIONS=500 go test -v -timeout 60m ./internal/faults
//	CRONIUM_FAULT_SEED=7 go test -v ./internal/faults           the faults of an earlier run
//	CRONIUM_FAULT_SCHEDULES=10000 go test -v -run Instant ./internal/faults
//
// Two real server processes share an embedded PostgreSQL and a container engine
// of their own, which lives in network and mount namespaces of its own, so that
// the machine's engine is not touched. A load of scripts that print numbered
// lines runs through the API, while faults strike in an order and at moments
// that the seed decides: servers restarted, killed and stopped for longer than their
// lease, PostgreSQL killed, its connections cut, the engine restarted and
// killed, containers killed.
//
// A checker then compares what the database says with what the scripts
// reported themselves over the network when they started. check_test.go lists
// what must hold.
//
// Another run has schedules fire while one of two processes is killed every few
// seconds: schedules_test.go.
package faults
