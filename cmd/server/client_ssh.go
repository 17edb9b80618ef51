package main

import (
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

// errLeft says that the person has left.
var errLeft = errors.New("left")

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
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	typed := make(chan []byte)
	go readKeys(ctx, typed, leave) // ends with the program: nothing can end a read of the standard input
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	lost := time.Now()
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		joined, err := joinShell(ctx, api, id, typed, resized)
		switch {
		case errors.Is(context.Cause(ctx), errLeft):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil || !errors.Is(err, client.ErrUnreachable):
			return err
		}
		if joined {
			lost, wait = time.Now(), 250*time.Millisecond
			fmt.Fprint(os.Stderr, "\r\ncronium: the connection was lost; trying again\r\n")
		}
		if time.Since(lost) > cronium.TerminalLinger {
			return err
		}
		if err := pauseFor(ctx, wait); err != nil && errors.Is(context.Cause(ctx), errLeft) {
			return nil
		}
	}
}

// readKeys passes on what is typed, and takes Enter ~ . as leaving.
func readKeys(ctx context.Context, typed chan<- []byte, leave context.CancelCauseFunc) {
	last := "\r"
	for {
		buf := make([]byte, 4096)
		n, err := os.Stdin.Read(buf)
		text := last + string(buf[:n])
		if strings.Contains(text, "\r~.") {
			leave(errLeft)
			return
		}
		last = text[max(len(text)-2, 0):]
		if n > 0 {
			select {
			case typed <- buf[:n]:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				select {
				case typed <- []byte{4}: // as Ctrl-D says it
				case <-ctx.Done():
				}
			}
			return
		}
	}
}

// joinShell is one connection. joined: it was there for some time.
func joinShell(ctx context.Context, api *client.Client, id string, typed <-chan []byte, resized <-chan os.Signal) (joined bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	address := "ws" + strings.TrimPrefix(api.Address, "http") + "/terminals/" + id + "/socket"
	conn, res, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + api.Token}}})
	if err != nil {
		if res != nil && res.StatusCode >= 400 && res.StatusCode < 500 {
			return false, fmt.Errorf("the server refuses the terminal: %s", res.Status)
		}
		return false, fmt.Errorf("%w: %w", client.ErrUnreachable, err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	var sending sync.WaitGroup
	sending.Go(func() { sendKeys(ctx, conn, typed, resized) })
	defer func() { cancel(); sending.Wait() }()
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return true, fmt.Errorf("%w: %w", client.ErrUnreachable, err)
		}
		if kind == websocket.MessageBinary {
			if _, err := os.Stdout.Write(data); err != nil {
				return true, err
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
			return true, nil
		case said.Type == "error" && said.Again:
			return true, fmt.Errorf("%w: %s", client.ErrUnreachable, said.Text)
		case said.Type == "error":
			return true, errors.New(printable(said.Text))
		}
	}
}

// sendKeys passes on what is typed and how large the window is. An error shows
// in the reading of the same connection.
func sendKeys(ctx context.Context, conn *websocket.Conn, typed <-chan []byte, resized <-chan os.Signal) {
	size := func() {
		columns, rows := windowSize()
		text, err := json.Marshal(map[string]any{"type": "size", "columns": columns, "rows": rows})
		if err == nil {
			_ = conn.Write(ctx, websocket.MessageText, text)
		}
	}
	size()
	for {
		select {
		case keys := <-typed:
			_ = conn.Write(ctx, websocket.MessageBinary, keys)
		case <-resized:
			size()
		case <-ctx.Done():
			return
		}
	}
}
