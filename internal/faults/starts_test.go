package faults

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// starts counts what scripts say of themselves: each, when it begins, connects
// and names its execution, and goes on once that is counted. It is the counter
// that outlives the container.
type starts struct {
	port int

	mu    sync.Mutex
	count map[string]int // by execution
}

func newStarts(t *testing.T, e *engine) *starts {
	t.Helper()
	var listener net.Listener
	err := e.space.do(func() (err error) {
		listener, err = net.Listen("tcp", "0.0.0.0:0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &starts{port: listener.Addr().(*net.TCPAddr).Port, count: map[string]int{}}
	var serving sync.WaitGroup
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			serving.Go(func() { s.serve(conn) })
		}
	})
	return s
}

func (s *starts) serve(conn net.Conn) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return // the script ended before it had said anything
	}
	s.mu.Lock()
	s.count[strings.TrimSpace(line)]++
	s.mu.Unlock()
	fmt.Fprintln(conn, "counted")
}

// of gives how often an execution's script started.
func (s *starts) of(execution string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[execution]
}

// all lists the executions whose scripts started.
func (s *starts) all() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	copied := make(map[string]int, len(s.count))
	for id, n := range s.count {
		copied[id] = n
	}
	return copied
}
