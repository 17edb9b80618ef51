package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/store"
)

// userCommand does what an administrator cannot do in the pages: let the first
// person in without a browser, and a person in who forgot their password.
type userCommand struct {
	Add      userAddCommand      `cmd:"" help:"Add a person. The password is asked for, or read from the standard input."`
	Password userPasswordCommand `cmd:"" help:"Set a person's password and end their sessions. The password is asked for, or read from the standard input."`
	List     userListCommand     `cmd:"" help:"List the people of a workspace."`
}

type userAddCommand struct {
	peopleFlags
	Email string `arg:"" help:"E-mail address to sign in with."`
	Name  string `help:"Name that others see; without it the e-mail address."`
	Role  string `default:"USER" enum:"ADMIN,USER,VIEWER" help:"ADMIN, USER or VIEWER."`
}

type userPasswordCommand struct {
	peopleFlags
	Email string `arg:"" help:"The person's e-mail address."`
}

type userListCommand struct{ peopleFlags }

// peopleFlags are those of every command about people.
type peopleFlags struct {
	databaseFlags
	Workspace string `default:"default" help:"The workspace's short name."`
}

// people is the opened database as these commands use it.
type people struct {
	store     *store.Store
	auth      *auth.Service
	workspace *cronium.Workspace // nil before the first run
	close     func()
}

func (f *peopleFlags) Validate() error { return f.problems().Err("The command") }

func (f *peopleFlags) people(ctx context.Context) (*people, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, stop, err := f.open(ctx, log)
	if err != nil {
		return nil, err
	}
	p := &people{store: s, close: func() { s.Close(); stop() }}
	if p.auth, err = auth.New(s, s.Sessions(), log); err == nil {
		p.workspace, err = s.WorkspaceBySlug(ctx, f.Workspace)
	}
	if errors.Is(err, cronium.ErrNotFound) {
		var first bool
		if first, err = p.auth.NeedsFirstRun(ctx); err == nil && !first {
			err = cronium.Errorf(cronium.CodeNotFound, "There is no workspace %q.", f.Workspace)
		}
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// find is the person with the e-mail address.
func (p *people) find(ctx context.Context, email string) (*cronium.User, error) {
	user, err := p.store.UserByEmail(ctx, auth.NormalEmail(email))
	if errors.Is(err, cronium.ErrNotFound) {
		return nil, cronium.Errorf(cronium.CodeNotFound, "Nobody has the e-mail address %s. cronium user list shows who there is.", email)
	}
	return user, err
}

func (c *userAddCommand) Run(ctx context.Context) error {
	p, err := c.people(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	name := c.Name
	if name == "" {
		name = c.Email
	}
	if p.workspace == nil && c.Role != string(cronium.RoleAdmin) {
		return cronium.Errorf(cronium.CodeConflict, "Nobody is there yet, and the first person is the administrator: add --role ADMIN.")
	}
	password, err := askPassword(os.Stdin, os.Stderr)
	if err != nil {
		return err
	}
	if p.workspace == nil {
		err = p.addFirst(ctx, name, c.Email, password)
	} else {
		err = p.add(ctx, name, c.Email, password, cronium.Role(c.Role))
	}
	if err == nil {
		fmt.Printf("%s can sign in.\n", auth.NormalEmail(c.Email))
	}
	return err
}

// addFirst goes through the first run: who may read the database may be given
// its code.
func (p *people) addFirst(ctx context.Context, name, email, password string) error {
	code, _, err := p.auth.FirstRunCode(ctx)
	if err != nil {
		return err
	}
	_, err = p.auth.MakeFirstAdmin(ctx, code, name, email, password, netip.IPv4Unspecified())
	return err
}

func (p *people) add(ctx context.Context, name, email, password string, role cronium.Role) error {
	user, err := p.auth.NewUser(ctx, name, email, password)
	if err != nil {
		return err
	}
	return p.store.AddUser(ctx, p.workspace.ID, user, role)
}

func (c *userPasswordCommand) Run(ctx context.Context) error {
	p, err := c.people(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	user, err := p.find(ctx, c.Email)
	if err != nil {
		return err
	}
	password, err := askPassword(os.Stdin, os.Stderr)
	if err != nil {
		return err
	}
	if err := p.auth.ResetPassword(ctx, user, password); err != nil {
		return err
	}
	fmt.Printf("%s has a new password; their sessions have ended.\n", user.Email)
	return nil
}

func (c *userListCommand) Run(ctx context.Context) error {
	p, err := c.people(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	if p.workspace == nil {
		fmt.Println("Nobody is there yet. Start the server and open the first-run page, or use cronium user add --role ADMIN.")
		return nil
	}
	members, err := p.store.People(ctx, p.workspace.ID)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "E-MAIL\tNAME\tROLE\tSINCE")
	for _, m := range members {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", m.Email, m.Name, m.Role, m.CreatedAt.UTC().Format("2006-01-02"))
	}
	return table.Flush()
}

// askPassword reads a line. On a terminal it asks for it and does not show it.
func askPassword(in *os.File, out io.Writer) (string, error) {
	terminal, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS)
	if err == nil {
		fmt.Fprint(out, "Password: ")
		silent := *terminal
		silent.Lflag &^= unix.ECHO
		if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, &silent); err != nil {
			return "", fmt.Errorf("hide what is typed: %w", err)
		}
		defer func() {
			_ = unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, terminal) // the terminal may be gone
			fmt.Fprintln(out)
		}()
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return "", cronium.Errorf(cronium.CodeInvalid, "No password was given. Type it, or send it on the standard input.")
	}
	return password, nil
}
