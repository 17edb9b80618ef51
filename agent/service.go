package agent

import (
	"context"
	"os"
	"runtime"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentproto "cronium.dev/agent/proto"
)

// Protocol is the version of the protocol that this agent speaks.
const Protocol = 1

// interpreters are looked for by Info.
var interpreters = []string{"python3", "node", "bash"}

// Info implements the service.
func (a *Agent) Info(context.Context, *agentproto.InfoRequest) (*agentproto.InfoResponse, error) {
	hostname, _ := os.Hostname() // empty is an answer
	info := &agentproto.InfoResponse{
		Protocol: Protocol,
		Version:  a.config.Version,
		Instance: a.spool.Instance(),
		Target:   a.config.Target,
		Os:       runtime.GOOS,
		Arch:     runtime.GOARCH,
		Hostname: hostname,
		Draining: a.draining.Load(),
	}
	if a.config.Installed != nil {
		info.Others = a.config.Installed.Others()
	}
	list := os.Getenv("PATH")
	if list == "" {
		list = defaultPath
	}
	for _, name := range interpreters {
		if path := lookPath(name, list); path != "" {
			info.Interpreters = append(info.Interpreters, &agentproto.Interpreter{Name: name, Path: path})
		}
	}
	return info, nil
}

// Signal implements the service.
func (a *Agent) Signal(_ context.Context, r *agentproto.SignalRequest) (*agentproto.SignalResponse, error) {
	e := a.find(r.GetExecutionId())
	if e == nil {
		return nil, unknown(r.GetExecutionId())
	}
	switch r.GetStop() {
	case agentproto.Stop_STOP_CANCEL:
		e.stopFor(stopCancel)
	case agentproto.Stop_STOP_KILL:
		e.stopFor(stopKill)
	default:
		return nil, status.Errorf(codes.InvalidArgument, "stop %d is not known to this agent", r.GetStop())
	}
	return &agentproto.SignalResponse{State: e.state()}, nil
}

// List implements the service.
func (a *Agent) List(context.Context, *agentproto.ListRequest) (*agentproto.ListResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := &agentproto.ListResponse{}
	for _, e := range a.executions {
		list.Executions = append(list.Executions, e.state())
	}
	return list, nil
}

// Forget implements the service.
func (a *Agent) Forget(_ context.Context, r *agentproto.ForgetRequest) (*agentproto.ForgetResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.executions[r.GetExecutionId()]
	if e == nil {
		return &agentproto.ForgetResponse{}, nil
	}
	if e.finished() == nil {
		return nil, status.Errorf(codes.FailedPrecondition, "execution %s still runs", e.id)
	}
	if err := a.forget(e); err != nil {
		return nil, refusal(err)
	}
	return &agentproto.ForgetResponse{}, nil
}
