package ssh

import (
	"context"
	"fmt"
	"strings"

	"cronium.dev/cronium"
)

// helloFailure is why the command did not say its first word.
func (t *talk) helloFailure(ctx context.Context, cause error, late bool) error {
	heard := ""
	if t.heard != "" {
		heard = fmt.Sprintf(" It said: %q.", clean(t.heard))
	}
	switch {
	case ctx.Err() != nil:
		return failedf(t.c, StepPlatform, context.Cause(ctx), "The connection to %s was given up.", t.c.label())
	case cause == errFlood:
		return failedf(t.c, StepPlatform, cause, "The login of %q on %s prints without end before it runs a command. Look at its start-up files (.bashrc and the like).%s", t.c.Login, t.c.label(), heard)
	case late:
		return failedf(t.c, StepPlatform, cause, "The login of %q on %s did not run a command within %s. Look at its start-up files (.bashrc and the like) and its login shell.%s", t.c.Login, t.c.label(), helloTimeout, heard)
	}
	said := t.s.said(ctx)
	if t.heard != "" {
		said = clean(t.heard + " " + said)
	}
	return failedf(t.c, StepPlatform, cause, "%s lets %q in but runs no command for it; it said: %s. Give the user a login shell, and no forced command.", t.c.label(), t.c.Login, said)
}

// endFailure is why the command said nothing more.
func (t *talk) endFailure(ctx context.Context, late bool) error {
	if ctx.Err() != nil {
		return failedf(t.c, t.begun, context.Cause(ctx), "The connection to %s was given up.", t.c.label())
	}
	if late {
		return failedf(t.c, t.begun, nil, "%s did not answer in time while the agent was made ready (%s).", t.c.label(), t.begun)
	}
	said := t.s.said(ctx)
	if t.become {
		return failed(t.c, t.begun, nil, t.noSudo(said))
	}
	if t.begun == StepAgent {
		return failedf(t.c, StepAgent, nil, "The agent could not be started on %s in %s; it said: %s.", t.c.label(), clean(t.dir), said)
	}
	return failedf(t.c, t.begun, nil, "%s ended the session while the agent was made ready; it said: %s.", t.c.label(), said)
}

func (t *talk) noSudo(said string) string {
	return fmt.Sprintf("%q may not run programs as %q on %s: %s. Allow it there with a line for sudo: %s ALL=(%s) NOPASSWD: ALL",
		t.c.Login, t.user, t.c.label(), strings.TrimSuffix(said, "."), t.c.Login, t.user)
}

// refusal puts what the command has found into words.
func (t *talk) refusal(word, rest string) error {
	rest = strings.TrimRight(clean(rest), "; ")
	host := t.c.label()
	var message string
	switch word {
	case "no-user":
		message = fmt.Sprintf("There is no user %q on %s. Choose another under Where, or make it there.", t.user, host)
	case "no-sudo":
		message = fmt.Sprintf("%s has no sudo, so %q cannot become %q. Install sudo there, or sign in as %q.", host, t.c.Login, t.user, t.user)
	case "no-linux":
		message = fmt.Sprintf("%s runs %s. Agents run on Linux alone.", host, rest)
	case "no-arch":
		message = fmt.Sprintf("%s has a processor of type %s. There is an agent for %s.", host, rest, t.architectures())
	case "no-directory":
		message = fmt.Sprintf("No directory on %s can hold the agent. %s. Make room in one of them.", host, rest)
	case "no-sum":
		message = fmt.Sprintf("%s has none of the programs sha256sum, shasum and openssl, so the agent cannot be checked there. Install one of them.", host)
	case "no-write":
		message = fmt.Sprintf("The agent could not be written on %s, in %s. Make room there.", host, rest)
	case "corrupt":
		message = fmt.Sprintf("The agent arrived on %s changed, three times. Something between here and there changes data.", host)
	case "busy":
		message = fmt.Sprintf("The agent on %s cannot be removed: %s.", host, rest)
		return &cronium.Error{Code: cronium.CodeConflict, Message: message, Err: &Failure{Step: t.begun, Host: host}}
	default:
		message = fmt.Sprintf("%s said something that was not understood: %s %s.", host, clean(word), rest)
	}
	return failed(t.c, t.begun, nil, message)
}

func (t *talk) architectures() string {
	var names []string
	for _, arch := range []string{"amd64", "arm64"} {
		if t.agents[arch] != nil {
			names = append(names, arch)
		}
	}
	return strings.Join(names, " and ")
}
