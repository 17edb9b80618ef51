package views

import (
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/views/layout"
)

// Agents is the page at /servers/agents: codes with which machines join.
type Agents struct {
	layout.Frame
	Codes       []cronium.AgentCode
	Made        *JoinCommands // the code just made: shown this once
	Name        string        // as typed
	Environment string
	Tags        string
	Uses        string
	Hours       string
	Problems    cronium.Problems
}

// ServerAgent is the page at /servers/{id}/agent: the keys of one server's agent.
type ServerAgent struct {
	layout.Frame
	Server cronium.Server
	Keys   []cronium.AgentKey
	Fault  string        // why the agent was not updated; "" if it was or need not be
	Made   *JoinCommands // to install its agent anew
	Now    time.Time
}

// JoinCommands is what a person copies to a machine. All that is put together
// here was checked before: no part of it has a quote or the end of a line.
type JoinCommands struct {
	URL      string // of this server, as machines reach it: scheme, host, port
	Code     string
	Binaries []JoinBinary
}

// JoinBinary is an agent that machines can get.
type JoinBinary struct {
	Arch, Label string // "amd64", "x86-64"
	Path        string // below the URL
	SHA256      string // hex
}

// Plain tells whether what comes over the network could be altered there.
func (j JoinCommands) Plain() bool { return strings.HasPrefix(j.URL, "http://") }

// Line gets the agent, checks it, joins and has systemd run it.
func (j JoinCommands) Line(b JoinBinary) string {
	return "curl -fsSLo cronium-agent '" + j.URL + b.Path + "'" +
		" && echo '" + b.SHA256 + "  cronium-agent' | sha256sum -c -" +
		" && chmod +x cronium-agent" +
		" && sudo ./cronium-agent join '" + j.URL + "' --code " + j.Code + " --install"
}

// CloudInit does the same at the first start of a new machine.
func (j JoinCommands) CloudInit(b JoinBinary) string {
	return `#cloud-config
write_files:
  - path: /run/cronium-join
    permissions: "0600"
    content: ` + j.Code + `
runcmd:
  - [curl, -fsSLo, /usr/local/bin/cronium-agent, "` + j.URL + b.Path + `"]
  - [sh, -c, "echo '` + b.SHA256 + `  /usr/local/bin/cronium-agent' | sha256sum -c - && chmod 755 /usr/local/bin/cronium-agent"]
  - [/usr/local/bin/cronium-agent, join, "` + j.URL + `", --code-file, /run/cronium-join, --install]
  - [rm, -f, /run/cronium-join]
`
}

// Unit is what --install writes, for those who write it themselves.
func (j JoinCommands) Unit() string {
	return `[Unit]
Description=Cronium agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/local/bin/cronium-agent run --state /var/lib/cronium-agent
EnvironmentFile=-/etc/default/cronium-agent
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=90

[Install]
WantedBy=multi-user.target
`
}
