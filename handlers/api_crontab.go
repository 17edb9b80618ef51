package handlers

import (
	"context"
	"net/http"
	"time"

	"cronium.dev/cronium"
)

func (a *api) crontabOperations() {
	add(a, operation{method: http.MethodPost, path: "/schedule/import", permission: cronium.PermissionWrite, id: "import-crontab", tag: "Schedules",
		summary:     "Make events and schedules of a crontab's text",
		description: "Each line becomes an active Bash event with its schedule, all of them or none. With dry_run nothing is stored, and the answer says what would be.",
	}, a.importCrontabOperation)
}

type importCrontabInput struct {
	Body struct {
		Text   string `json:"text,omitempty" doc:"Required: what crontab -l prints, at most 1 MiB"`
		Format string `json:"format,omitempty" enum:"user,system" doc:"system: with a user before each command, like /etc/crontab. Found out where it is not sent"`
		Zone   string `json:"zone,omitempty" doc:"The time zone of its machine, an IANA name; CRON_TZ in the text comes before it" example:"Europe/Berlin"`
		Target string `json:"target,omitempty" doc:"container, or the id of a server"`
		DryRun bool   `json:"dry_run,omitempty" doc:"Only say what would be made"`
	}
}

type importCrontabOutput struct {
	Body struct {
		Made    int                `json:"made" doc:"Events, or those that could be made with dry_run"`
		Entries []apiCrontabEntry  `json:"entries"`
		Ignored []apiCrontabIgnore `json:"ignored" doc:"Lines that become nothing, with the reason"`
	}
}

type apiCrontabEntry struct {
	Line    int         `json:"line"`
	Name    string      `json:"name" doc:"Of the event"`
	Command string      `json:"command"`
	EventID *cronium.ID `json:"event_id,omitempty"`
	Words   string      `json:"words,omitempty" doc:"When it runs"`
	NextAt  *time.Time  `json:"next_at,omitempty"`
	Notes   []string    `json:"notes,omitempty" doc:"What is different here"`
	Problem string      `json:"problem,omitempty" doc:"Why it is not made"`
}

type apiCrontabIgnore struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func (a *api) importCrontabOperation(ctx context.Context, in *importCrontabInput) (*importCrontabOutput, error) {
	request := crontabRequest{Text: in.Body.Text, Format: in.Body.Format, Zone: in.Body.Zone, Target: in.Body.Target}
	plans, ignored, imported, err := a.planCrontab(ctx, request)
	if err != nil {
		return nil, err
	}
	if !in.Body.DryRun {
		if err := a.makeCrontab(ctx, imported); err != nil {
			return nil, err
		}
	}
	out := &importCrontabOutput{}
	out.Body.Entries, out.Body.Ignored = []apiCrontabEntry{}, []apiCrontabIgnore{}
	for _, p := range plans {
		entry := apiCrontabEntry{Line: p.Line, Name: p.Name, Command: p.Command, Words: p.Words, Notes: p.Notes, Problem: p.Problem}
		if p.Problem == "" {
			if !p.Next.IsZero() {
				entry.NextAt = &p.Next
			}
			if !in.Body.DryRun {
				entry.EventID = &imported[out.Body.Made].Event.ID
			}
			out.Body.Made++
		}
		out.Body.Entries = append(out.Body.Entries, entry)
	}
	for _, n := range ignored {
		out.Body.Ignored = append(out.Body.Ignored, apiCrontabIgnore{n.Line, n.Text})
	}
	return out, nil
}
