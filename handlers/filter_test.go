package handlers

import (
	"reflect"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

func TestAFilterOfJobsIsReadFromWords(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for query, want := range map[string]store.JobFilter{
		"":                                    {},
		"status:failed event:backup since:2d": {Status: []cronium.JobStatus{cronium.JobFailed}, Event: "backup", Since: now.AddDate(0, 0, -2)},
		`event:"nightly backup" by:api`:       {Event: "nightly backup", Trigger: cronium.TriggerAPI},
		"nightly backup":                      {Event: "nightly backup"},
		"STATUS:Open":                         {Status: []cronium.JobStatus{cronium.JobQueued, cronium.JobClaimed, cronium.JobRunning}},
		"status:timeout":                      {Status: []cronium.JobStatus{cronium.JobFailed}, Results: []cronium.Result{cronium.ResultTimeout}},
		"since:2026-11-01 until:90m":          {Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Until: now.Add(-90 * time.Minute)},
		"since:2026-11-01T08:30:00Z":          {Since: time.Date(2026, 11, 1, 8, 30, 0, 0, time.UTC)},
	} {
		got, problems := jobFilter(query, now)
		if !reflect.DeepEqual(got, want) || len(problems) > 0 {
			t.Errorf("%q: %+v %q, want %+v", query, got, problems, want)
		}
	}
}

func TestWhatAFilterDoesNotKnowIsNamedAndLeftOut(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"stauts:failed", "status:broken", "since:yesterday", "since:-1d", "since:99999999999d", "by:me", "until:d"} {
		filter, problems := jobFilter(query, time.Now())
		if len(problems) != 1 || !reflect.DeepEqual(filter, store.JobFilter{}) {
			t.Errorf("%q: %+v, %q", query, filter, problems)
		}
	}
	filter, problems := eventFilter("backup type:cobol status:active name:db")
	want := store.EventFilter{Status: []cronium.EventStatus{cronium.EventActive}, Query: "backup db"}
	if len(problems) != 1 || !reflect.DeepEqual(filter, want) {
		t.Errorf("events: %+v, %q", filter, problems)
	}
}
