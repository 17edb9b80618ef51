package helper

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	agentproto "cronium.dev/agent/proto"
)

// Bounds of what waits for a server.
const (
	maxWaiting = 64
	maxParams  = MaxOutput // bytes of JSON; it fits into one message of the protocol
)

// Calls are the calls of one script that only a server can answer: numbered
// from 1, kept until they are answered, whatever becomes of the connection.
type Calls struct {
	notify func()

	mu      sync.Mutex
	next    uint64
	waiting []*waitingCall // by number
	closed  bool
}

type waitingCall struct {
	call   *agentproto.HelperCall
	answer chan *agentproto.HelperAnswer // capacity 1
}

// NewCalls makes an empty list. notify is called when there is a new call, and
// must not wait.
func NewCalls(notify func()) *Calls { return &Calls{notify: notify, next: 1} }

// Do waits for the server's answer to a call, or for the context or Close.
func (c *Calls) Do(ctx context.Context, method string, params []byte) (*agentproto.HelperAnswer, error) {
	if len(params) > maxParams {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("The parameters are %d bytes of JSON; at most %d can be sent. Keep so much as an artifact.", len(params), maxParams)), nil
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errors.New("the script has ended")
	}
	if len(c.waiting) >= maxWaiting {
		c.mu.Unlock()
		return refuse(http.StatusTooManyRequests, "64 calls of this script wait for an answer already."), nil
	}
	w := &waitingCall{
		call:   &agentproto.HelperCall{Number: c.next, Method: method, Params: params},
		answer: make(chan *agentproto.HelperAnswer, 1),
	}
	c.next++
	c.waiting = append(c.waiting, w)
	c.mu.Unlock()
	c.notify()
	select {
	case a, ok := <-w.answer:
		if !ok {
			return nil, errors.New("the script has ended")
		}
		return a, nil
	case <-ctx.Done():
		c.take(w.call.Number)
		return nil, ctx.Err()
	}
}

func refuse(status int32, message string) *agentproto.HelperAnswer {
	return &agentproto.HelperAnswer{Error: &agentproto.HelperError{Status: status, Message: message}}
}

// take removes a call from those that wait; nil if it does not.
func (c *Calls) take(number uint64) *waitingCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.waiting, func(w *waitingCall) bool { return w.call.GetNumber() == number })
	if i < 0 {
		return nil
	}
	w := c.waiting[i]
	c.waiting = slices.Delete(c.waiting, i, i+1)
	return w
}

// After lists the calls without an answer whose number is larger, in order. A
// server that attaches anew asks from 0 and so gets again what it may have
// missed.
func (c *Calls) After(number uint64) []*agentproto.HelperCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	var calls []*agentproto.HelperCall
	for _, w := range c.waiting {
		if w.call.GetNumber() > number {
			calls = append(calls, w.call)
		}
	}
	return calls
}

// Answer gives the script its answer. A second answer, or one to a call that
// nobody waits for any more, is ignored.
func (c *Calls) Answer(a *agentproto.HelperAnswer) {
	if w := c.take(a.GetNumber()); w != nil {
		w.answer <- a
	}
}

// Close ends every call that waits and refuses new ones.
func (c *Calls) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, w := range c.waiting {
		close(w.answer)
	}
	c.waiting = nil
}
