package supervisor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"cronium.dev/agent"
)

// Drain is the line on an agent's standard input that has it drain.
const Drain = "drain"

// reportFile is the number of the file on which an agent reports.
const reportFile = 3

// Report is what an agent tells its supervisor, a line of JSON.
type Report struct {
	Connected bool          `json:"connected,omitempty"` // the server has let it in
	Update    *agent.Update `json:"update,omitempty"`    // a new program has come
}

// Reports is the agent's end.
type Reports struct{ file *os.File }

// OpenReports takes the file on which a supervisor listens.
func OpenReports() *Reports {
	unix.CloseOnExec(reportFile) // no script shall have it
	return &Reports{os.NewFile(reportFile, "reports")}
}

// Send tells the supervisor.
func (r *Reports) Send(report Report) error {
	line, err := json.Marshal(report)
	if err == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("tell the supervisor: %w", err)
	}
	return nil
}

// child is an agent that runs.
type child struct {
	slot     Slot
	program  string
	draining bool
	input    io.WriteCloser
	process  *os.Process
}

// event is what happened to a child.
type event struct {
	child  *child
	report *Report // nil: it has ended
	failed error   // how, if not well
}

// start starts an agent in a slot. What happens to it goes to events.
func (s *supervisor) start(slot Slot, program string, draining bool) (*child, error) {
	if err := slot.make(); err != nil {
		return nil, err
	}
	reads, writes, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the agent: %w", err)
	}
	defer writes.Close()
	cmd := exec.Command(program, append([]string{"attend", "--state", slot.state, "--slot", strconv.Itoa(slot.number), "--program", s.Program}, s.Flags...)...)
	cmd.Env = childEnvironment(os.Environ())
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{writes}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		reads.Close()
		return nil, fmt.Errorf("start the agent: %w", err)
	}
	c := &child{slot: slot, program: program, input: input, process: cmd.Process}
	if draining {
		c.drain()
	}
	s.children.Go(func() { s.listen(c, reads, cmd) })
	return c, nil
}

// listen passes on what an agent reports, and its end.
func (s *supervisor) listen(c *child, reads *os.File, cmd *exec.Cmd) {
	defer reads.Close()
	lines := bufio.NewScanner(reads)
	for lines.Scan() {
		report := &Report{}
		if err := json.Unmarshal(lines.Bytes(), report); err != nil {
			s.Log.Warn("an agent reports what its supervisor does not understand", "error", err)
			continue
		}
		s.events <- event{child: c, report: report}
	}
	s.events <- event{child: c, failed: cmd.Wait()}
}

// drain has an agent end when the server has taken all of it.
func (c *child) drain() {
	c.draining = true
	_, _ = io.WriteString(c.input, Drain+"\n") // one that has ended needs no telling
}

// childEnvironment is what an agent gets of its supervisor's environment. Scripts
// get less: see package agent.
func childEnvironment(environ []string) []string {
	kept := map[string]bool{"PATH": true, "HOME": true, "USER": true, "LOGNAME": true, "SHELL": true, "LANG": true, "TZ": true,
		"HTTP_PROXY": true, "HTTPS_PROXY": true, "NO_PROXY": true}
	var env []string
	for _, entry := range environ {
		if name, _, _ := strings.Cut(entry, "="); kept[strings.ToUpper(name)] {
			env = append(env, entry)
		}
	}
	return env
}
