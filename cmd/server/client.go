package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
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

// clientFlags say which server.
type clientFlags struct {
	Server string `env:"CRONIUM_SERVER" placeholder:"URL" help:"Address of the server, or its name of login --name; without it that of the last login."`
}

// listFlags say how to answer, too.
type listFlags struct {
	clientFlags
	JSON bool `name:"json" help:"Answer with the API's JSON."`
}

// logins is the file of what login stored.
type logins struct {
	Current string            `json:"current"`         // address
	Tokens  map[string]string `json:"tokens"`          // by address
	Names   map[string]string `json:"names,omitempty"` // addresses by the names that login gave them
}

// address is that of a server which is named by its address or its name; that of
// the last login for "".
func (l *logins) address(server string) string {
	if server == "" {
		return l.Current
	}
	if address := l.Names[server]; address != "" {
		return address
	}
	return strings.TrimRight(server, "/")
}

func loginsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder of settings: %w", err)
	}
	return filepath.Join(dir, "cronium", "logins.json"), nil
}

func readLogins() (*logins, error) {
	l := &logins{Tokens: map[string]string{}, Names: map[string]string{}}
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
	if err := writeWhole(path, append(raw, '\n')); err != nil {
		return fmt.Errorf("store the login: %w", err)
	}
	return nil
}

// writeWhole replaces a file as a whole; only its owner may read it.
func writeWhole(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// client is the server that the flags, the environment or the last login name.
func (f *clientFlags) client() (*client.Client, error) {
	l, err := readLogins()
	if err != nil {
		return nil, err
	}
	address := l.address(f.Server)
	if address == "" {
		return nil, errors.New("no server is known. Run: cronium login URL")
	}
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") {
		return nil, fmt.Errorf("no login has the name %q. Give an address, or run: cronium login URL --name %s", address, address)
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
	Name      string `placeholder:"NAME" help:"A short name for --server."`
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
	if token == "" {
		return fmt.Errorf("there is no token. Make one at %s/settings/tokens", address)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		fmt.Fprintf(os.Stderr, "cronium: %s is not encrypted: whoever is on the way can read the token\n", address)
	}
	var who whoami
	if err := client.New(address, token).Do(ctx, http.MethodGet, "/whoami", nil, nil, &who); err != nil {
		return err
	}
	l, err := readLogins()
	if err != nil {
		return err
	}
	l.Current, l.Tokens[address] = address, token
	if c.Name != "" {
		l.Names[c.Name] = address
	}
	if err := l.save(); err != nil {
		return err
	}
	fmt.Printf("Signed in to %s as %s.\n", address, who)
	return nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// whoami is who asks, as the server knows them.
type whoami struct {
	Name  string
	Email string
	Role  string
	Token struct{ Scope string }
}

func (w whoami) String() string {
	return printable(fmt.Sprintf("%s (%s), %s, with a token of the scope %s", w.Name, w.Email, w.Role, w.Token.Scope))
}

type whoamiCommand struct {
	listFlags
}

// Run tells who the server takes the token's holder for.
func (c *whoamiCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := api.Do(ctx, http.MethodGet, "/whoami", nil, nil, &raw); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(raw)
	}
	var who whoami
	if err := json.Unmarshal(raw, &who); err != nil {
		return fmt.Errorf("read who asks: %w", err)
	}
	fmt.Printf("%s at %s\n", who, api.Address)
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
	address := l.address(c.Server)
	if l.Tokens[address] == "" {
		return errors.New("there is no login to forget")
	}
	delete(l.Tokens, address)
	maps.DeleteFunc(l.Names, func(_, named string) bool { return named == address })
	if l.Current == address {
		l.Current = ""
	}
	return l.save()
}

// printable is a text of the server as a terminal may show it: without control
// characters, escape sequences, and what turns the direction of writing.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
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
	case errors.As(err, &refusal) && refusal.Status == http.StatusUnauthorized:
		return "the server does not take the token: it is wrong, has expired or was revoked. Make one under Settings, and run: cronium login URL", 1
	case errors.As(err, &refusal):
		return printable(strings.ReplaceAll(refusal.Error(), "\n", " ")), 1
	case errors.Is(err, client.ErrUnreachable):
		return printable(err.Error()), exitUnreachable
	}
	return explain(err), 1
}
