package ssh

import "time"

// StepName is one step of connecting.
type StepName string

// The steps, in their order.
const (
	StepResolve      StepName = "resolve"
	StepConnect      StepName = "connect"
	StepHostKey      StepName = "host key"
	StepAuthenticate StepName = "authenticate"
	StepPlatform     StepName = "platform"
	StepDisk         StepName = "disk"
	StepAgent        StepName = "agent"
)

// Steps lists them as a page shows them.
func Steps() []StepName {
	return []StepName{StepResolve, StepConnect, StepHostKey, StepAuthenticate, StepPlatform, StepDisk, StepAgent}
}

// Step is one step as it begins and as it has ended.
type Step struct {
	Name   StepName
	Host   string // the machine: a jump host has steps of its own
	Done   bool   // false: it begins
	Detail string // what came of it: an address, a fingerprint, a directory
	Err    error  // *cronium.Error for a person; nil: it went well
	Took   time.Duration
}

// trace tells somebody the steps. nil tells nobody.
type trace struct {
	host   string
	report func(Step)
}

func newTrace(c *Connection, report func(Step)) *trace {
	if report == nil {
		return nil
	}
	return &trace{host: c.label(), report: report}
}

// begin tells that a step begins. end tells how it ended, and gives the error
// back.
func (t *trace) begin(name StepName) (end func(detail string, err error) error) {
	if t == nil {
		return func(_ string, err error) error { return err }
	}
	begun := time.Now()
	t.report(Step{Name: name, Host: t.host})
	return func(detail string, err error) error {
		t.report(Step{Name: name, Host: t.host, Done: true, Detail: detail, Err: err, Took: time.Since(begun)})
		return err
	}
}
