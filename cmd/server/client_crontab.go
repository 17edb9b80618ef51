package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	v1 "cronium.dev/client/api"
)

type importCommand struct {
	Crontab crontabCommand `cmd:"" help:"Make events and schedules of a crontab."`
}

type crontabCommand struct {
	listFlags
	File   string `arg:"" optional:"" help:"The file; without it standard input, as in: crontab -l | cronium import crontab"`
	DryRun bool   `help:"Only say what would be made."`
	Format string `enum:",user,system" default:"" help:"user, as crontab -l prints it, or system, with a user before each command, like /etc/crontab. Found out without it."`
	Zone   string `placeholder:"NAME" help:"Time zone by which the lines run, like Europe/Berlin. Without it that of this machine."`
	On     string `placeholder:"SERVER" help:"Server on which the events run. Without it they run in containers."`
}

// maxCrontab is the most that is read, in bytes.
const maxCrontab = 1 << 20

// Run sends a crontab and says what has become of its lines.
func (c *crontabCommand) Run(ctx context.Context) error {
	text, err := c.read()
	if err != nil {
		return err
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	body := v1.ImportCrontabInputBody{Text: &text, DryRun: &c.DryRun}
	if c.Zone == "" {
		c.Zone = machineZone()
	}
	for field, value := range map[**string]string{&body.Zone: c.Zone, &body.Format: c.Format} {
		if value != "" {
			*field = &value
		}
	}
	if c.On != "" {
		id, err := findServer(ctx, api, c.On)
		if err != nil {
			return err
		}
		body.Target = &id
	}
	answer, err := v1.API{Client: api}.ImportCrontab(ctx, body)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(answer)
	}
	return c.tell(answer)
}

func (c *crontabCommand) read() (string, error) {
	in := io.Reader(os.Stdin)
	if c.File != "" {
		file, err := os.Open(c.File)
		if err != nil {
			return "", fmt.Errorf("open the crontab: %w", err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxCrontab+1))
	if err != nil {
		return "", fmt.Errorf("read the crontab: %w", err)
	}
	if len(text) > maxCrontab {
		return "", errors.New("the crontab is longer than 1 MiB")
	}
	return string(text), nil
}

// tell writes a line for each line of the crontab.
func (c *crontabCommand) tell(answer *v1.ImportCrontabOutputBody) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LINE\tEVENT\tWHEN")
	var said []string
	for _, e := range answer.Entries {
		line, when := strconv.FormatInt(e.Line, 10), e.Words
		if e.Problem != "" {
			when = "not made: " + e.Problem
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", line, printable(e.Name), printable(when))
		for _, note := range e.Notes {
			said = append(said, "line "+line+": "+note)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, i := range answer.Ignored {
		said = append(said, fmt.Sprintf("line %d: %s", i.Line, i.Reason))
	}
	for _, text := range said {
		say(text)
	}
	verb := "made"
	if c.DryRun {
		verb = "can be made"
	}
	say(fmt.Sprintf("%d of %d events %s.", answer.Made, len(answer.Entries), verb))
	return nil
}

// machineZone is the time zone of this machine; "" where it is not known, which
// is UTC.
func machineZone() string {
	if zone, ok := os.LookupEnv("TZ"); ok {
		return strings.TrimPrefix(zone, ":")
	}
	link, err := os.Readlink("/etc/localtime")
	if err != nil {
		return ""
	}
	_, zone, _ := strings.Cut(link, "zoneinfo/")
	return zone
}
