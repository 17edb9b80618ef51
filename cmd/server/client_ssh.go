package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/term"

	"cronium.dev/client"
	"cronium.dev/cronium"
)

type sshCommand struct {
	clientFlags
	Host string `arg:"" name:"server" help:"The server's name."`
}

// Run opens a terminal on a server, through the Cronium server. What is shown is
// recorded there. Enter, ~ and . leave it, as with ssh.
func (c *sshCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	id, err := findServer(ctx, api, c.Host)
	if err != nil {
		return err
	}
	columns, rows := windowSize()
	var terminal struct{ ID string }
	err = api.Do(ctx, http.MethodPost, "/servers/"+id+"/terminals", nil, map[string]int{"columns": max(columns, 10), "rows": max(rows, 3)}, &terminal)
	if err != nil {
		return err
	}
	return shellSession(ctx, api, terminal.ID)
}

func windowSize() (columns, rows int) {
	columns, rows, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 80, 24
	}
	return columns, rows
}

// shellSession joins this terminal to one of the server, again after a cut for as
// long as the shell waits.
func shellSession(ctx context.Context, api *client.Client, id string) error {
	if term.IsTerminal(int(os.Stdin.Fd())) {
		before, err := term.MakeRaw(int(os.Stdin.Fd()))
		if err != nil {
			return fmt.Errorf("set the terminal: %w", err)
		}
		defer term.Restore(int(os.Stdin.Fd()), before)
	}
	s := shellOver{api: api, id: id, typed: make(chan []byte), left: make(chan struct{}), resized: make(chan os.Signal, 1)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go s.readKeys(ctx) // ends with the program: nothing can end a read of the standard input
	signal.Notify(s.resized, syscall.SIGWINCH)
	defer signal.Stop(s.resized)
	lost := time.Now()
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		joined, err := s.join(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil || !errors.Is(err, client.ErrUnreachable):
			return err
		}
		if joined {
			lost, wait = time.Now(), 250*time.Millisecond
			fmt.Fprint(os.Stderr, "\r\ncronium: the connection was lost; trying again. Enter, ~ and . leave\r\n")
		}
		if time.Since(lost) > cronium.TerminalLinger {
			return err
		}
		select {
		case <-s.left:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// shellOver is a shell over one connection after another.
type shellOver struct {
	api     *client.Client
	id      string // of the terminal
	typed   chan []byte
	left    chan struct{} // closed when the person has left
	resized chan os.Signal
	unsent  []byte // typed, and not known to have been sent
}

// readKeys passes on what is typed, and takes Enter ~ . as leaving.
func (s *shellOver) readKeys(ctx context.Context) {
	last := "\r"
	buf := make([]byte, 4096)
	for {
		n, err := os.Stdin.Read(buf)
		keys := bytes.Clone(buf[:n])
		text := last + string(keys)
		if strings.Contains(text, "\r~.") {
			close(s.left)
			return
		}
		last = text[max(len(text)-2, 0):]
		if errors.Is(err, io.EOF) {
			keys = append(keys, 4) // as Ctrl-D says it
		}
		if len(keys) > 0 {
			select {
			case s.typed <- keys:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// linePing is how often the server is asked whether it is there, and linePong how
// long it may take to say so.
const (
	linePing = 10 * time.Second
	linePong = 10 * time.Second
)

// leaveTime is how long the server may take to end a shell that has been left.
const leaveTime = 2 * time.Second

// join is one connection, until the shell has ended or the person has left (nil),
// or the connection is lost. joined: it was there.
func (s *shellOver) join(ctx context.Context) (joined bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return false, err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	left := false
	var others sync.WaitGroup
	others.Go(func() { left = s.send(ctx, conn); cancel() })
	others.Go(func() { ping(ctx, conn); cancel() })
	err = show(ctx, conn)
	cancel()
	others.Wait()
	if left {
		return true, nil
	}
	return true, err
}

func (s *shellOver) dial(ctx context.Context) (*websocket.Conn, error) {
	address := "ws" + strings.TrimPrefix(s.api.Address, "http") + "/terminals/" + s.id + "/socket"
	dialling, cancel := context.WithTimeout(ctx, linePing+linePong)
	defer cancel()
	conn, res, err := websocket.Dial(dialling, address, &websocket.DialOptions{
		HTTPClient: s.api.HTTP, HTTPHeader: http.Header{"Authorization": {"Bearer " + s.api.Token}},
	})
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case res != nil && res.StatusCode >= 300 && res.StatusCode < 500:
		return nil, fmt.Errorf("the server refuses the terminal: %s", res.Status)
	}
	return nil, fmt.Errorf("%w: %w", client.ErrUnreachable, err)
}

// show writes what the shell prints, until its end (nil) or that of the connection.
func show(ctx context.Context, conn *websocket.Conn) error {
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", client.ErrUnreachable, err)
		}
		if kind == websocket.MessageBinary {
			if _, err := os.Stdout.Write(data); err != nil {
				return err
			}
			continue
		}
		var said struct {
			Type, Text string
			Again      bool
		}
		if json.Unmarshal(data, &said) != nil {
			continue
		}
		switch {
		case said.Type == "end":
			fmt.Fprint(os.Stderr, "\r\n"+printable(said.Text)+"\r\n")
			return nil
		case said.Type == "error" && said.Again:
			return fmt.Errorf("%w: %s", client.ErrUnreachable, said.Text)
		case said.Type == "error":
			return errors.New(printable(said.Text))
		}
	}
}

// send passes on what is typed and how large the window is, and reports whether
// the person has left: then it has ended the shell. An error of writing is one of
// reading, too.
func (s *shellOver) send(ctx context.Context, conn *websocket.Conn) (left bool) {
	say := func(what map[string]any) error {
		text, err := json.Marshal(what)
		if err != nil {
			return err
		}
		return conn.Write(ctx, websocket.MessageText, text)
	}
	size := func() error {
		columns, rows := windowSize()
		return say(map[string]any{"type": "size", "columns": columns, "rows": rows})
	}
	err := size()
	for err == nil {
		if len(s.unsent) > 0 {
			if err = conn.Write(ctx, websocket.MessageBinary, s.unsent); err == nil {
				s.unsent = nil
			}
			continue
		}
		select {
		case s.unsent = <-s.typed:
		case <-s.resized:
			err = size()
		case <-s.left:
			err = say(map[string]any{"type": "close"}) // otherwise it waits some minutes for nobody
			if err == nil {
				_ = pauseFor(ctx, leaveTime) // it tells of the shell's end before
			}
			return true
		case <-ctx.Done():
			return false
		}
	}
	return false
}

// ping returns when the server does not answer any more: a line that is cut
// somewhere says nothing by itself.
func ping(ctx context.Context, conn *websocket.Conn) {
	tick := time.NewTicker(linePing)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		pong, done := context.WithTimeout(ctx, linePong)
		err := conn.Ping(pong)
		done()
		if err != nil {
			return
		}
	}
}
