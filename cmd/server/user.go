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
	"time"

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
	Role     userRoleCommand     `cmd:"" help:"Change what a person may do in a workspace."`
	Remove   userRemoveCommand   `cmd:"" help:"Take a person out of a workspace: sessions end, API tokens are revoked, what they made stays."`
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

type userRoleCommand struct {
	peopleFlags
	Email         string `arg:"" help:"The person's e-mail address."`
	Role          string `arg:"" enum:"ADMIN,USER,VIEWER" help:"ADMIN, USER or VIEWER."`
	InstanceAdmin string `default:"" enum:",yes,no" placeholder:"yes|no" help:"Also make the person an administrator of the whole instance, or an ordinary one."`
}

type userRemoveCommand struct {
	peopleFlags
	Email string `arg:"" help:"The person's e-mail address."`
}

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
	if p.auth, err = auth.New(s, log); err == nil {
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

// member opens the database and finds a member of the workspace in it.
func (f *peopleFlags) member(ctx context.Context, email string) (*people, *store.Person, error) {
	p, err := f.people(ctx)
	if err != nil {
		return nil, nil, err
	}
	person, err := p.member(ctx, email)
	if err != nil {
		p.close()
		return nil, nil, err
	}
	return p, person, nil
}

func (p *people) member(ctx context.Context, email string) (*store.Person, error) {
	user, err := p.find(ctx, email)
	if err != nil {
		return nil, err
	}
	if p.workspace == nil {
		return nil, cronium.Errorf(cronium.CodeNotFound, "There is no workspace yet.")
	}
	person, err := p.store.Person(ctx, p.workspace.ID, user.ID)
	if errors.Is(err, cronium.ErrNotFound) {
		return nil, cronium.Errorf(cronium.CodeNotFound, "%s is no member of the workspace %s.", user.Email, p.workspace.Slug)
	}
	return person, err
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
	if joined, err := p.join(ctx, c.Email, cronium.Role(c.Role)); joined || err != nil {
		return err
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

// join makes somebody who has an account already a member of the workspace.
func (p *people) join(ctx context.Context, email string, role cronium.Role) (bool, error) {
	if p.workspace == nil {
		return false, nil
	}
	user, err := p.store.UserByEmail(ctx, auth.NormalEmail(email))
	if errors.Is(err, cronium.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := p.store.AddPerson(ctx, p.workspace.ID, cronium.ID{}, user, role, nil); err != nil {
		return false, err
	}
	fmt.Printf("%s has an account already and is a member now. cronium user password sets another password.\n", user.Email)
	return true, nil
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
	members, _, err := p.store.People(ctx, p.workspace.ID, store.PeopleFilter{})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "E-MAIL\tNAME\tROLE\tSINCE\tLAST SEEN\tINSTANCE")
	for _, m := range members {
		instance := ""
		if m.InstanceAdmin {
			instance = "administrator"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", m.Email, m.Name, m.Role, m.CreatedAt.UTC().Format(time.DateOnly), day(m.SeenAt), instance)
	}
	return table.Flush()
}

func (c *userRoleCommand) Run(ctx context.Context) error {
	p, person, err := c.member(ctx, c.Email)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.store.SetRole(ctx, p.workspace.ID, cronium.ID{}, person.ID, cronium.Role(c.Role)); err != nil {
		return err
	}
	if c.InstanceAdmin != "" {
		if err := p.store.SetInstanceAdmin(ctx, person.ID, c.InstanceAdmin == "yes"); err != nil {
			return err
		}
	}
	fmt.Printf("%s is %s now.\n", person.Email, c.Role)
	return nil
}

func (c *userRemoveCommand) Run(ctx context.Context) error {
	p, person, err := c.member(ctx, c.Email)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.store.RemovePerson(ctx, p.workspace.ID, cronium.ID{}, person.ID); err != nil {
		return err
	}
	fmt.Printf("%s is removed: sessions have ended, API tokens are revoked. What %s made stays.\n", person.Email, person.Name)
	return nil
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
