package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"unicode"

	"golang.org/x/term"

	"cronium.dev/client"
)

// Exit codes of the commands that speak to a server, beside those of scripts.
const (
	exitUnreachable = 75  // EX_TEMPFAIL of sysexits.h
	exitTimeout     = 124 // as timeout(1)
	exitCancelled   = 130 // as a shell after Ctrl-C
)

// exitCode is an end that has been explained already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// clientFlags say which server, and how to answer.
type clientFlags struct {
	Server string `env:"CRONIUM_SERVER" placeholder:"URL" help:"Address of the server; without it that of the last login."`
	JSON   bool   `name:"json" help:"Answer with the API's JSON."`
}

// logins is the file of what login stored.
type logins struct {
	Current string            `json:"current"` // address
	Tokens  map[string]string `json:"tokens"`  // by address
}

func loginsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder of settings: %w", err)
	}
	return filepath.Join(dir, "cronium", "logins.json"), nil
}

func readLogins() (*logins, error) {
	l := &logins{Tokens: map[string]string{}}
	path, err := loginsFile()
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, l)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return l, nil
}

// save replaces the file as a whole; only its owner may read it.
func (l *logins) save() error {
	path, err := loginsFile()
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".logins-*") // mode 0600
	if err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(append(raw, '\n'))
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	return nil
}

// client is the server that the flags, the environment or the last login name.
func (f *clientFlags) client() (*client.Client, error) {
	l, err := readLogins()
	if err != nil {
		return nil, err
	}
	address := strings.TrimRight(f.Server, "/")
	if address == "" {
		address = l.Current
	}
	if address == "" {
		return nil, errors.New("no server is known. Run: cronium login URL")
	}
	token := os.Getenv("CRONIUM_TOKEN")
	if token == "" {
		token = l.Tokens[address]
	}
	if token == "" {
		return nil, fmt.Errorf("there is no token for %s. Run: cronium login %s", address, address)
	}
	return client.New(address, token), nil
}

type loginCommand struct {
	URL       string `arg:"" name:"url" help:"Address of the server, like https://cronium.example."`
	TokenFile string `name:"token-file" placeholder:"FILE" help:"File with an API token; without it $$CRONIUM_TOKEN, or it is asked for."`
}

// Run stores a token once the server has taken it.
func (c *loginCommand) Run(ctx context.Context) error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no address like https://cronium.example", c.URL)
	}
	address := u.Scheme + "://" + u.Host
	token, err := c.token(address)
	if err != nil {
		return err
	}
	var who struct {
		Name  string
		Email string
		Role  string
		Token struct{ Scope string }
	}
	if err := client.New(address, token).Do(ctx, http.MethodGet, "/whoami", nil, nil, &who); err != nil {
		return err
	}
	l, err := readLogins()
	if err != nil {
		return err
	}
	l.Current, l.Tokens[address] = address, token
	if err := l.save(); err != nil {
		return err
	}
	fmt.Printf("Signed in to %s as %s (%s), with a token of the scope %s.\n", address, printable(who.Name), printable(who.Email), printable(who.Token.Scope))
	return nil
}

func (c *loginCommand) token(address string) (string, error) {
	switch {
	case c.TokenFile != "":
		raw, err := os.ReadFile(c.TokenFile)
		return strings.TrimSpace(string(raw)), err
	case os.Getenv("CRONIUM_TOKEN") != "":
		return os.Getenv("CRONIUM_TOKEN"), nil
	case !term.IsTerminal(int(os.Stdin.Fd())):
		raw, err := io.ReadAll(io.LimitReader(os.Stdin, 4096))
		return strings.TrimSpace(string(raw)), err
	}
	fmt.Fprintf(os.Stderr, "API token (make one at %s/settings/tokens): ", address)
	raw, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	return strings.TrimSpace(string(raw)), err
}

type logoutCommand struct {
	clientFlags
}

// Run forgets the token. It stays valid: revoking is done on the page.
func (c *logoutCommand) Run() error {
	l, err := readLogins()
	if err != nil {
		return err
	}
	address := strings.TrimRight(c.Server, "/")
	if address == "" {
		address = l.Current
	}
	delete(l.Tokens, address)
	if l.Current == address {
		l.Current = ""
	}
	return l.save()
}

// printable is a text of the server as a terminal may show it: without control
// characters and escape sequences.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, text)
}

// table writes rows in columns.
func table(head string, rows [][]string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, head)
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
}

// printJSON writes JSON as it came from the API, one value a line.
func printJSON(v any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// explainClient says why a command that speaks to a server ended, and gives the
// exit code.
func explainClient(err error) (text string, code int) {
	var explained exitCode
	var refusal *client.Error
	switch {
	case errors.As(err, &explained):
		return "", int(explained)
	case errors.Is(err, context.Canceled):
		return "", exitCancelled
	case errors.As(err, &refusal):
		return printable(strings.ReplaceAll(refusal.Error(), "\n", " ")), 1
	case errors.Is(err, client.ErrUnreachable):
		return err.Error(), exitUnreachable
	}
	return explain(err), 1
}
