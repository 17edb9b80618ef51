package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/secrets"
)

// CallOf says in whose name a script calls.
type CallOf struct {
	WorkspaceID cronium.ID
	EventID     cronium.ID
	EventName   string
	JobID       cronium.ID
	ExecutionID cronium.ID
	Limits      cronium.Limits
	Stage       string // the environment whose variables the event reads; "" = those of all
	// Number is the call's, from 1 in an execution. A call that comes again,
	// because its answer was lost, has the same.
	Number uint64
	// Hidden is what must not be readable in what the run gives out. A secret is
	// added before the script gets it.
	Hidden *secrets.Hidden
}

// Caller answers what scripts ask of the server. It may be called concurrently,
// also for one script. The error's public part is told to the script, with its
// code as an HTTP status; any other error is the server's fault. A call that has
// an effect has it once for an execution and number, however often it comes.
type Caller interface {
	Call(ctx context.Context, of CallOf, method string, params json.RawMessage) (json.RawMessage, error)
}

// laneOf has calls about variables, and parts of an artifact, follow one another
// as the script made them.
func laneOf(method string) string {
	kind, _, _ := strings.Cut(method, ".")
	if kind == "variable" || kind == "artifact" {
		return kind
	}
	return ""
}

// Call answers helper calls that the agent does not answer itself.
func (s *sink) Call(ctx context.Context, call *proto.HelperCall) *proto.HelperAnswer {
	result, err := s.call(ctx, call)
	if err == nil {
		return &proto.HelperAnswer{Result: result}
	}
	var public *cronium.Error
	if errors.As(err, &public) && public.Code != cronium.CodeInternal {
		return &proto.HelperAnswer{Error: &proto.HelperError{Status: int32(public.Code.Status()), Message: callMessage(public)}}
	}
	if ctx.Err() == nil {
		s.log().Error("a helper call was not answered", "method", call.GetMethod(), "number", call.GetNumber(), "error", err)
	}
	return &proto.HelperAnswer{Error: &proto.HelperError{
		Status: http.StatusInternalServerError, Message: "The server could not do this. Its log has the details.",
	}}
}

func (s *sink) call(ctx context.Context, call *proto.HelperCall) (json.RawMessage, error) {
	if s.engine.Calls == nil {
		return nil, cronium.Errorf(cronium.CodeNotFound, "this Cronium has no helper call named %q", call.GetMethod())
	}
	hidden, err := s.secrets(ctx)
	if err != nil {
		return nil, err
	}
	params := json.RawMessage(call.GetParams())
	if len(params) > 0 && !json.Valid(params) {
		return nil, cronium.Errorf(cronium.CodeInvalid, "The parameters of %q are not JSON.", call.GetMethod())
	}
	of := CallOf{
		WorkspaceID: s.execution.WorkspaceID, EventID: s.job.EventID, EventName: s.eventName, JobID: s.execution.JobID,
		ExecutionID: s.execution.ID, Limits: s.content.Limits, Stage: s.content.Stage, Number: call.GetNumber(), Hidden: hidden,
	}
	return s.engine.Calls.Call(ctx, of, call.GetMethod(), params)
}

// callMessage is an error with its fields in one text.
func callMessage(e *cronium.Error) string {
	parts := []string{e.Message}
	for _, f := range e.Fields {
		parts = append(parts, f.Field+" "+f.Message+".")
	}
	return strings.Join(parts, " ")
}
