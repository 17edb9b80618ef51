// Command cronium is the server and its tools: serve runs it, migrate brings a
// database up to date, doctor looks for what is wrong with a machine, user and
// token do at the command line what the Settings page does, keys replaces the keys
// that protect what is stored. The other commands, login and those below it, are a
// client of a server's API; their files are named client_*.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // hosts without zone data exist

	"github.com/alecthomas/kong"

	"cronium.dev/cronium"
)

// version is set by the build.
var version = "development"

type cli struct {
	Serve   serveCommand   `cmd:"" group:"Server" help:"Run the server."`
	User    userCommand    `cmd:"" group:"Server" help:"Add, list, change and remove people, and set passwords."`
	Token   tokenCommand   `cmd:"" group:"Server" help:"Make, list and revoke API tokens."`
	Keys    keysCommand    `cmd:"" group:"Server" help:"Replace the keys that protect stored passwords and private keys."`
	Migrate migrateCommand `cmd:"" group:"Server" help:"Bring the database to this version and exit. Serve does it too."`
	Doctor  doctorCommand  `cmd:"" group:"Server" help:"Check engine, database, disk, clock and port, and say what to do."`
	Version versionCommand `cmd:"" help:"Print the version."`

	Login      loginCommand      `cmd:"" group:"Client" help:"Keep a server's address and an API token for the commands below."`
	Logout     logoutCommand     `cmd:"" group:"Client" help:"Forget the token."`
	Whoami     whoamiCommand     `cmd:"" group:"Client" help:"Tell who the token stands for, and where."`
	Run        runCommand        `cmd:"" group:"Client" help:"Run an event."`
	Logs       logsCommand       `cmd:"" group:"Client" help:"Show what a job printed."`
	Ps         psCommand         `cmd:"" group:"Client" help:"List jobs, those that have not ended."`
	Cancel     cancelCommand     `cmd:"" group:"Client" help:"Stop a job."`
	Events     eventsCommand     `cmd:"" group:"Client" help:"List events."`
	Servers    serversCommand    `cmd:"" group:"Client" help:"List servers."`
	SSH        sshCommand        `cmd:"" name:"ssh" group:"Client" help:"Open a terminal on a server, through the Cronium server."`
	Export     exportCommand     `cmd:"" group:"Client" help:"Write the workspace into a folder, as YAML and scripts."`
	Apply      applyCommand      `cmd:"" group:"Client" help:"Make the workspace what the files of a folder say."`
	Import     importCommand     `cmd:"" group:"Client" help:"Take over what other programs run."`
	Completion completionCommand `cmd:"" group:"Client" help:"Print a shell's completion of these commands."`
}

type versionCommand struct{}

func (versionCommand) Run() error {
	fmt.Println(version)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var commands cli
	command := kong.Parse(&commands, kong.Name("cronium"),
		kong.Description("Cronium runs scripts in containers and shows them live."),
		kong.ShortUsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Vars{"data": defaultDataDir()})
	if err := command.Run(); err != nil {
		text, code := explainClient(err)
		if text != "" {
			fmt.Fprintln(os.Stderr, "cronium: "+text)
		}
		os.Exit(code)
	}
}

// explain is what an operator reads of an error: the public text first, then
// the cause.
func explain(err error) string {
	var public *cronium.Error
	if !errors.As(err, &public) {
		return err.Error()
	}
	lines := []string{public.Message}
	for _, f := range public.Fields {
		lines = append(lines, f.Field+" "+f.Message)
	}
	if public.Err != nil {
		lines = append(lines, "("+public.Err.Error()+")")
	}
	return strings.Join(lines, "\n  ")
}
