package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
)

// tokenCommand makes API tokens without a browser.
type tokenCommand struct {
	Add    tokenAddCommand    `cmd:"" help:"Make an API token of a person and print it. It is not shown again."`
	List   tokenListCommand   `cmd:"" help:"List a person's API tokens."`
	Revoke tokenRevokeCommand `cmd:"" help:"End an API token at once."`
}

type tokenAddCommand struct {
	peopleFlags
	Email string `arg:"" help:"Whose token it is: it may do no more than that person."`
	Name  string `required:"" help:"What uses it; jobs name it as what started them."`
	Scope string `default:"read" enum:"read,run,write,admin,metrics" help:"read, run, write or admin, each includes the one before; or metrics, for /metrics alone."`
	Days  int    `default:"90" help:"Days until it ends, 1 to 3650; 0 means never."`
}

type tokenListCommand struct {
	peopleFlags
	Email string `arg:"" help:"The person's e-mail address."`
}

type tokenRevokeCommand struct {
	peopleFlags
	Email string `arg:"" help:"The person's e-mail address."`
	ID    string `arg:"" help:"The token's id, as cronium token list shows it."`
}

func (c *tokenAddCommand) Run(ctx context.Context) error {
	p, person, err := c.member(ctx, c.Email)
	if err != nil {
		return err
	}
	defer p.close()
	var expires *time.Time
	if c.Days != 0 {
		at := time.Now().AddDate(0, 0, c.Days)
		expires = &at
	}
	problems := cronium.ValidateToken(c.Name, cronium.Scope(c.Scope), expires, time.Now())
	owner := cronium.Principal{Role: person.Role, InstanceAdmin: person.InstanceAdmin}
	problems.Add(owner.MayIssue(cronium.Scope(c.Scope)), "scope", "allows more than %s may, who is %s here", person.Email, person.Role)
	if err := problems.Err("The token"); err != nil {
		return err
	}
	secret, hash, prefix := auth.NewToken()
	token := &cronium.Token{
		ID: cronium.NewID(), WorkspaceID: p.workspace.ID, UserID: person.ID,
		Name: c.Name, Prefix: prefix, Scope: cronium.Scope(c.Scope), ExpiresAt: expires,
	}
	if err := p.store.CreateToken(ctx, token, hash); err != nil {
		return err
	}
	fmt.Println(secret)
	return nil
}

func (c *tokenListCommand) Run(ctx context.Context) error {
	p, user, err := c.owner(ctx, c.Email)
	if err != nil {
		return err
	}
	defer p.close()
	tokens, err := p.store.Tokens(ctx, p.workspace.ID, user.ID)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tSCOPE\tSTARTS WITH\tLAST USED\tENDS")
	for _, t := range tokens {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s…\t%s\t%s\n", t.ID, t.Name, t.Scope, t.Prefix, day(t.LastUsedAt), day(t.ExpiresAt))
	}
	return table.Flush()
}

func (c *tokenRevokeCommand) Run(ctx context.Context) error {
	p, user, err := c.owner(ctx, c.Email)
	if err != nil {
		return err
	}
	defer p.close()
	id, ok := cronium.ParseID(c.ID)
	if !ok {
		return cronium.Errorf(cronium.CodeInvalid, "%q is not the id of a token. cronium token list shows them.", c.ID)
	}
	if err := p.store.RevokeToken(ctx, p.workspace.ID, user.ID, id); err != nil {
		return err
	}
	fmt.Println("The token is revoked.")
	return nil
}

// owner opens the database and finds a token's owner in it.
func (f *peopleFlags) owner(ctx context.Context, email string) (*people, *cronium.User, error) {
	p, err := f.people(ctx)
	if err != nil {
		return nil, nil, err
	}
	user, err := p.find(ctx, email)
	if err != nil {
		p.close()
		return nil, nil, err
	}
	return p, user, nil
}

func day(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format("2006-01-02")
}
