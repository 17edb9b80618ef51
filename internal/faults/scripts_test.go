package faults

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
)

// kind is an event of the load and what is expected of it.
type kind struct {
	name      string
	event     cronium.EventType
	script    string
	lines     int  // that it prints to its end
	reports   bool // it names its execution to starts
	failsOnce bool // the first attempt ends with exit code 3
	cancel    bool // it is cancelled on its way
	change    func(*cronium.Content)
	id        cronium.ID // of the event, once made
}

// output is what a script that came to its end has printed.
func (k *kind) output() string {
	var b strings.Builder
	for i := range k.lines {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

const python = `import cronium, os, socket, sys, time
event = cronium.event()
if "REPORT_HOST" in os.environ:
    with socket.create_connection((os.environ["REPORT_HOST"], int(os.environ["REPORT_PORT"])), 20) as report:
        report.sendall((event["execution_id"] + "\n").encode())
        report.recv(16)
for i in range(LINES):
    print("line", i)
    time.sleep(PAUSE)
if FAIL_ONCE and event["job"]["attempt"] == 1:
    sys.exit(3)
`

const bash = `source cronium.sh
exec 3<>"/dev/tcp/$REPORT_HOST/$REPORT_PORT"
cronium_event .execution_id >&3
read -r _ <&3
exec 3>&-
for ((i = 0; i < LINES; i++)); do
	echo "line $i"
	sleep PAUSE
done
`

// fill puts values into a script.
func fill(script string, lines int, pause time.Duration, failOnce bool) string {
	truth := "False"
	if failOnce {
		truth = "True"
	}
	return strings.NewReplacer("LINES", strconv.Itoa(lines), "PAUSE", fmt.Sprintf("%.3f", pause.Seconds()), "FAIL_ONCE", truth).Replace(script)
}

// kinds are the events of the load.
func kinds() []*kind {
	again := func(attempts int, codes ...int) func(*cronium.Content) {
		return func(c *cronium.Content) {
			c.Retry = cronium.Retry{Attempts: attempts, InitialSeconds: 0.5, Factor: 1, ExitCodes: codes}
		}
	}
	all := []*kind{
		{name: "python", event: cronium.EventPython, lines: 20, reports: true, script: fill(python, 20, 80*time.Millisecond, false)},
		{name: "bash", event: cronium.EventBash, lines: 30, reports: true, script: fill(bash, 30, 60*time.Millisecond, false)},
		{name: "long", event: cronium.EventPython, lines: 50, reports: true, script: fill(python, 50, 80*time.Millisecond, false)},
		{name: "no network", event: cronium.EventPython, lines: 400, script: fill(python, 400, 5*time.Millisecond, false)},
		{name: "retried", event: cronium.EventPython, lines: 10, reports: true, failsOnce: true, script: fill(python, 10, 100*time.Millisecond, true), change: again(6, 3)},
		{name: "retried when lost", event: cronium.EventBash, lines: 25, reports: true, script: fill(bash, 25, 80*time.Millisecond, false), change: again(6)},
		{name: "one at a time", event: cronium.EventPython, lines: 10, reports: true, script: fill(python, 10, 50*time.Millisecond, false),
			change: func(c *cronium.Content) { c.Concurrency = 1 }},
		{name: "cancelled", event: cronium.EventBash, lines: 600, reports: true, cancel: true, script: fill(bash, 600, 100*time.Millisecond, false)},
		{name: "cancelled between attempts", event: cronium.EventPython, lines: 5, reports: true, failsOnce: true, cancel: true,
			script: fill(python, 5, 100*time.Millisecond, true), change: again(6, 3)},
	}
	return all
}

// content is what the event of a kind runs. Scripts that report reach the test
// at an address of the host, so they have the network that allows it.
func (k *kind) content(host string, port int) cronium.Content {
	c := cronium.NewContent(k.event)
	c.Files[0].Content = k.script
	c.Network = cronium.NetworkNone
	if k.reports {
		c.Network = cronium.NetworkFull
		c.Environment = []cronium.Variable{{Name: "REPORT_HOST", Value: host}, {Name: "REPORT_PORT", Value: strconv.Itoa(port)}}
	}
	if k.change != nil {
		k.change(&c)
	}
	return c
}
