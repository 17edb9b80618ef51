package handlers

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/views"
)

// formBytes is the most that the editor's form may send: the files, input,
// schema and environment at their limits, encoded for a form.
const formBytes = 16 << 20

// eventForm reads the editor's form. content is what it describes; problems are
// the fields that cannot be read at all. What the fields may hold is the
// domain's to say.
func eventForm(v url.Values) (form views.EventForm, content cronium.Content, problems cronium.Problems) {
	form = views.EventForm{
		Name: strings.TrimSpace(v.Get("name")), Description: lines(v.Get("description")), Note: lines(v.Get("note")),
		Input: lines(v.Get("input")), InputSchema: lines(v.Get("input_schema")),
		Target: cronium.TargetKind(v.Get("target")), Image: strings.TrimSpace(v.Get("image")), Network: cronium.Network(v.Get("network")),
		Timeout: v.Get("limits.timeout_seconds"), Memory: v.Get("limits.memory_mib"), CPUs: v.Get("limits.cpus"),
		Processes: v.Get("limits.processes"), Disk: v.Get("limits.disk_mib"), Output: v.Get("limits.output_mib"),
		Artifact: v.Get("limits.artifact_mib"),
		Priority: cronium.Priority(v.Get("priority")), Stage: strings.TrimSpace(v.Get("stage")), Concurrency: v.Get("concurrency"),
		GroupKey: strings.TrimSpace(v.Get("group.key")), GroupLimit: v.Get("group.limit"), RateCount: v.Get("rate.count"), RatePeriod: v.Get("rate.seconds"),
		Attempts: v.Get("retry.attempts"), Initial: v.Get("retry.initial_seconds"), Factor: v.Get("retry.factor"),
		MaxWait: v.Get("retry.max_seconds"), ExitCodes: v.Get("retry.exit_codes"), OnTimeout: v.Get("retry.on_timeout") == "true",
	}
	form.Base, _ = strconv.Atoi(v.Get("base")) // what is no version is refused as an old one
	form.Entry, _ = strconv.Atoi(v.Get("entry"))
	form.Files = formFiles(v)
	if v.Has("request") {
		var file cronium.File
		form.Request, file = requestForm(v, &problems)
		form.Files, form.Entry = []cronium.File{file}, 0
	}
	form.Environment = formVariables(v)
	read := formReader{problems: &problems}
	content = cronium.Content{
		Files: form.Files, Environment: form.Environment, Target: form.Target, Image: form.Image, Network: form.Network,
		Input: rawJSON(form.Input), InputSchema: rawJSON(form.InputSchema), Priority: form.Priority, Stage: form.Stage,
		Limits: cronium.Limits{
			TimeoutSeconds: int(read.span("limits.timeout_seconds", form.Timeout)),
			MemoryMiB:      read.whole("limits.memory_mib", form.Memory),
			CPUs:           read.number("limits.cpus", form.CPUs),
			Processes:      read.whole("limits.processes", form.Processes),
			DiskMiB:        read.whole("limits.disk_mib", form.Disk),
			OutputMiB:      read.whole("limits.output_mib", form.Output),
			ArtifactMiB:    read.whole("limits.artifact_mib", form.Artifact),
		},
		Concurrency: read.whole("concurrency", form.Concurrency),
		Rate:        rateForm(form.RateCount, form.RatePeriod, read),
		Retry: cronium.Retry{
			Attempts:       read.whole("retry.attempts", form.Attempts),
			InitialSeconds: read.span("retry.initial_seconds", form.Initial),
			Factor:         read.number("retry.factor", form.Factor),
			MaxSeconds:     read.span("retry.max_seconds", form.MaxWait),
			ExitCodes:      read.codes("retry.exit_codes", form.ExitCodes),
			OnTimeout:      form.OnTimeout,
		},
	}
	if form.GroupKey != "" {
		content.Group = &cronium.Group{Key: form.GroupKey, Limit: read.whole("group.limit", form.GroupLimit)}
	}
	if form.Entry >= 0 && form.Entry < len(form.Files) {
		content.Entry = form.Files[form.Entry].Name
	}
	form.On, content.On = fleetForm(v, form.Target, read)
	return form, content, problems
}

// rateForm reads a rate; a period without a count is none.
func rateForm(count, period string, read formReader) cronium.Rate {
	if count == "" {
		return cronium.Rate{}
	}
	rate := cronium.Rate{Count: read.whole("rate.count", count)}
	if rate.Count != 0 {
		rate.Seconds = int(read.span("rate.seconds", period))
	}
	return rate
}

// formFiles are the files; one without name and content was left empty.
func formFiles(v url.Values) (files []cronium.File) {
	contents := v["file_content"]
	for i, name := range v["file_name"] {
		file := cronium.File{Name: strings.TrimSpace(name)}
		if i < len(contents) {
			file.Content = lines(contents[i])
		}
		if file.Name != "" || file.Content != "" {
			files = append(files, file)
		}
	}
	return files
}

func formVariables(v url.Values) (variables []cronium.Variable) {
	values := v["environment_value"]
	for i, name := range v["environment_name"] {
		variable := cronium.Variable{Name: strings.TrimSpace(name)}
		if i < len(values) {
			variable.Value = values[i]
		}
		if variable != (cronium.Variable{}) {
			variables = append(variables, variable)
		}
	}
	return variables
}

func rawJSON(text string) json.RawMessage {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// formReader reads numbers and notes those that are none.
type formReader struct{ problems *cronium.Problems }

func (f formReader) whole(field, text string) int {
	n, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(text), ",", ""))
	f.problems.Add(err == nil, field, "must be a whole number, like 256")
	return n
}

func (f formReader) number(field, text string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	f.problems.Add(err == nil, field, "must be a number, like 0.5")
	return n
}

func (f formReader) span(field, text string) float64 {
	seconds, ok := views.ParseSpan(text)
	f.problems.Add(ok && seconds < 1e9, field, "must be a time, like 90 s, 5 min or 2 h")
	if !ok || seconds >= 1e9 {
		return 0
	}
	return seconds
}

func (f formReader) codes(field, text string) (codes []int) {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
		n, err := strconv.Atoi(word)
		if err != nil {
			f.problems.Add(false, field, "must be numbers from 1 to 255 with commas between, like 75, 111")
			return codes
		}
		codes = append(codes, n)
	}
	return codes
}

// merged joins what cannot be read with what may not be: a field that cannot be
// read is named once.
func merged(unread, refused cronium.Problems) cronium.Problems {
	all := unread
	for _, p := range refused {
		known := false
		for _, u := range unread {
			known = known || u.Field == p.Field
		}
		if !known {
			all = append(all, p)
		}
	}
	return all
}
