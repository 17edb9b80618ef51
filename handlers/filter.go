package handlers

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// filterWord is one word of what is typed into the filter of a list:
// "status:failed" has a key, "backup" has none.
type filterWord struct{ key, value string }

// filterWords splits a filter at its spaces. Quotes hold a value together:
// event:"nightly backup".
func filterWords(query string) (words []filterWord) {
	var word strings.Builder
	quoted, any := false, false
	flush := func() {
		if any {
			key, value, found := strings.Cut(word.String(), ":")
			if !found {
				key, value = "", word.String()
			}
			words = append(words, filterWord{strings.ToLower(key), value})
		}
		word.Reset()
		any = false
	}
	for _, r := range query {
		switch {
		case r == '"':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			flush()
		default:
			word.WriteRune(r)
			any = true
		}
	}
	flush()
	return words
}

// jobFilter reads the filter of the list of jobs. What is not understood is
// left out and named in problems.
func jobFilter(query string, now time.Time) (filter store.JobFilter, problems []string) {
	for _, w := range filterWords(query) {
		var problem string
		switch w.key {
		case "":
			filter.Event = strings.TrimSpace(filter.Event + " " + w.value)
		case "event":
			filter.Event = w.value
		case "status":
			problem = jobStatusFilter(&filter, strings.ToLower(w.value))
		case "by":
			problem = jobTriggerFilter(&filter, strings.ToLower(w.value))
		case "since":
			problem = momentFilter(&filter.Since, w, now)
		case "until":
			problem = momentFilter(&filter.Until, w, now)
		default:
			problem = fmt.Sprintf("“%s” is not a filter. Known are status, event, by, since and until.", w.key)
		}
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	return filter, problems
}

func jobStatusFilter(f *store.JobFilter, value string) (problem string) {
	f.Status, f.Results = nil, nil
	switch value {
	case "open":
		f.Status = []cronium.JobStatus{cronium.JobQueued, cronium.JobClaimed, cronium.JobRunning}
	case "queued":
		f.Status = []cronium.JobStatus{cronium.JobQueued}
	case "running":
		f.Status = []cronium.JobStatus{cronium.JobClaimed, cronium.JobRunning}
	case "success":
		f.Status = []cronium.JobStatus{cronium.JobCompleted}
	case "failed":
		f.Status = []cronium.JobStatus{cronium.JobFailed}
	case "timeout":
		f.Status, f.Results = []cronium.JobStatus{cronium.JobFailed}, []cronium.Result{cronium.ResultTimeout}
	case "partial":
		f.Status, f.Results = []cronium.JobStatus{cronium.JobFailed}, []cronium.Result{cronium.ResultPartial}
	case "cancelled":
		f.Status = []cronium.JobStatus{cronium.JobCancelled}
	default:
		return fmt.Sprintf("“status:%s” is not known. It can be open, queued, running, success, failed, timeout, partial or cancelled.", value)
	}
	return ""
}

func jobTriggerFilter(f *store.JobFilter, value string) (problem string) {
	triggers := map[string]cronium.Trigger{"hand": cronium.TriggerManual, "api": cronium.TriggerAPI, "rerun": cronium.TriggerRerun, "test": cronium.TriggerTest,
		"schedule": cronium.TriggerSchedule, "webhook": cronium.TriggerWebhook, "event": cronium.TriggerEvent}
	trigger, known := triggers[value]
	if !known {
		return fmt.Sprintf("“by:%s” is not known. It can be hand, api, rerun, test, schedule, webhook or event.", value)
	}
	f.Trigger = trigger
	return ""
}

// momentFilter reads "2d", "3h", "30m" before now, or a day or moment.
func momentFilter(to *time.Time, w filterWord, now time.Time) (problem string) {
	value := w.value
	if len(value) > 1 {
		unit, known := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[value[len(value)-1]]
		if n, err := strconv.Atoi(value[:len(value)-1]); err == nil && known && n >= 0 && n < 100_000 {
			*to = now.Add(-time.Duration(n) * unit)
			return ""
		}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04"} {
		if t, err := time.Parse(layout, value); err == nil {
			*to = t
			return ""
		}
	}
	return fmt.Sprintf("“%s:%s” is not a moment. Write 30m, 3h or 2d for a time ago, or a day like 2026-11-25.", w.key, value)
}

// eventFilter reads the filter of the list of events.
func eventFilter(query string) (filter store.EventFilter, problems []string) {
	var names []string
	for _, w := range filterWords(query) {
		switch w.key {
		case "":
			names = append(names, w.value)
		case "name":
			names = append(names, w.value)
		case "status":
			status := cronium.EventStatus(strings.ToUpper(w.value))
			if status.Valid() {
				filter.Status = []cronium.EventStatus{status}
			} else {
				problems = append(problems, fmt.Sprintf("“status:%s” is not known. It can be draft, active, paused or archived.", w.value))
			}
		case "type":
			types := map[string]cronium.EventType{"python": cronium.EventPython, "nodejs": cronium.EventNode, "node": cronium.EventNode, "bash": cronium.EventBash, "http": cronium.EventHTTP}
			if t, known := types[strings.ToLower(w.value)]; known {
				filter.Type = t
			} else {
				problems = append(problems, fmt.Sprintf("“type:%s” is not known. It can be python, nodejs or bash.", w.value))
			}
		default:
			problems = append(problems, fmt.Sprintf("“%s” is not a filter. Known are status, type and name.", w.key))
		}
	}
	filter.Query = strings.Join(names, " ")
	return filter, problems
}

// peopleFilter reads the filter of the list of people.
func peopleFilter(query string) (filter store.PeopleFilter, problems []string) {
	var names []string
	for _, w := range filterWords(query) {
		switch w.key {
		case "", "name":
			names = append(names, w.value)
		case "role":
			filter.Role = cronium.Role(strings.ToUpper(w.value))
			if len(cronium.ValidateRole(filter.Role)) > 0 {
				filter.Role = ""
				problems = append(problems, fmt.Sprintf("“role:%s” is not known. It can be admin, user or viewer.", w.value))
			}
		default:
			problems = append(problems, fmt.Sprintf("“%s” is not a filter. Known are role and name.", w.key))
		}
	}
	filter.Query = strings.Join(names, " ")
	return filter, problems
}
