package cronium

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Code says what kind of failure an Error is; the HTTP status follows from it.
type Code string

// The codes.
const (
	CodeInvalid      Code = "invalid"      // the input is wrong: 422
	CodeUnauthorized Code = "unauthorized" // nobody is signed in: 401
	CodeForbidden    Code = "forbidden"    // the role does not allow it: 403
	CodeNotFound     Code = "not_found"    // it does not exist, or not for this workspace: 404
	CodeConflict     Code = "conflict"     // the state does not allow it: 409
	CodeLimited      Code = "limited"      // too many tries: 429
	CodeUnavailable  Code = "unavailable"  // something needed is away: 503
	CodeInternal     Code = "internal"     // our fault: 500
)

// Status is the HTTP status of the code.
func (c Code) Status() int {
	switch c {
	case CodeInvalid:
		return http.StatusUnprocessableEntity
	case CodeUnauthorized:
		return http.StatusUnauthorized
	case CodeForbidden:
		return http.StatusForbidden
	case CodeNotFound:
		return http.StatusNotFound
	case CodeConflict:
		return http.StatusConflict
	case CodeLimited:
		return http.StatusTooManyRequests
	case CodeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Error is a failure that a person may read. Message is public text: what
// happened and what would be right. Err is the cause, for the log alone.
type Error struct {
	Code    Code
	Message string
	Fields  []FieldError  // for CodeInvalid: one entry a wrong field
	Wait    time.Duration // for CodeLimited: when to try again; 0 if unknown
	Err     error
}

// FieldError names one field of a form or an API call, what was wrong with it
// and what is accepted.
type FieldError struct {
	Field   string `json:"field"`   // as in the API: "limits.timeout_seconds"
	Message string `json:"message"` // "must be between 1 and 86400"
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s %s", f.Field, f.Message)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// ErrNotFound is the one answer for what does not exist and for what belongs
// to another workspace.
var ErrNotFound = &Error{Code: CodeNotFound, Message: "There is nothing here with that address, or it belongs to another workspace."}

// Errorf makes an Error of a code with a public message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of the first Error in err's chain, CodeInternal if none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// Problems gathers what is wrong with one input, so that a person sees all of
// it at once.
type Problems []FieldError

// Add notes that a field is wrong unless ok.
func (p *Problems) Add(ok bool, field, format string, args ...any) {
	if !ok {
		*p = append(*p, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

// Err is nil without problems, else an Error of CodeInvalid with all of them.
func (p Problems) Err(what string) error {
	if len(p) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: what + " was not accepted.", Fields: p}
}
