package instance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Server is one process of `cronium serve`.
type Server struct {
	Name    string // "server-3"
	Address string // "http://127.0.0.1:41234"
	Page    string // the page to open, as printed: on a first run with its code
	Log     string // file
	PID     int

	command *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	err     error         // of Wait; read after ended
}

// Start starts a server process on a free port and waits until it says its
// address. ctx bounds the start alone. Should this process die, the server
// stops as if asked to.
func (s *Site) Start(ctx context.Context, flags ...string) (*Server, error) {
	s.started++
	server := &Server{Name: fmt.Sprintf("server-%d", s.started), ended: make(chan struct{})}
	server.Log = filepath.Join(s.Logs, server.Name+".log")
	log, err := os.Create(server.Log)
	if err != nil {
		return nil, fmt.Errorf("make a server's log: %w", err)
	}
	defer log.Close()
	args := append([]string{"serve", "--listen", "127.0.0.1:0"}, s.Flags...)
	server.command = exec.Command(filepath.Join(string(s.Binaries), "cronium"), append(args, flags...)...)
	server.command.Env = s.environment()
	server.command.Stderr = log
	server.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	said, err := server.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.command.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	server.PID = server.command.Process.Pid
	address := make(chan string, 1)
	go server.wait(said, address)
	select {
	case server.Page = <-address:
		server.Address, _, _ = strings.Cut(server.Page, "/setup")
		return server, nil
	case <-server.ended:
		return nil, fmt.Errorf("%s ended at its start (%w); its log says:\n%s", server.Name, server.err, server.LogTail(4000))
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("wait for the address of %s: %w; its log says:\n%s", server.Name, ctx.Err(), server.LogTail(4000)), server.Kill())
	}
}

// wait reads what the server prints, and its end.
func (s *Server) wait(said io.Reader, address chan<- string) {
	defer close(s.ended)
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if line := lines.Text(); strings.HasPrefix(line, "http") {
			address <- line
			break
		}
	}
	_, _ = io.Copy(io.Discard, said)
	s.err = s.command.Wait()
}

// Signal sends a signal to the server process alone.
func (s *Server) Signal(signal os.Signal) error { return s.command.Process.Signal(signal) }

// Kill ends the process at once, whatever state it is in.
func (s *Server) Kill() error {
	err := s.Signal(syscall.SIGKILL)
	<-s.ended
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	return err
}

// Stop asks the server to stop and waits until it has; when ctx ends before, it
// is killed.
func (s *Server) Stop(ctx context.Context) error {
	if !s.Alive() {
		return nil
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGCONT} { // a stopped one does not get the first
		if err := s.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	select {
	case <-s.ended:
		if s.err != nil {
			return fmt.Errorf("%s stopped with an error: %w; its log ends:\n%s", s.Name, s.err, s.LogTail(2000))
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s did not stop: %w", s.Name, ctx.Err()), s.Kill())
	}
}

// Alive tells whether the process has not ended.
func (s *Server) Alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// LogTail is the end of the server's log, of at most n bytes.
func (s *Server) LogTail(n int) string {
	text, err := os.ReadFile(s.Log)
	if err != nil {
		return err.Error()
	}
	if len(text) > n {
		text = text[len(text)-n:]
	}
	return string(text)
}
