package views

import (
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/views/components"
)

// EventForm is what the editor's form holds, as it was typed. Numbers are text,
// so that what is not a number comes back as it was.
type EventForm struct {
	Name, Description string
	Note              string
	Base              int // the version that the changes were made on
	Files             []cronium.File
	Entry             int         // index of the file that is run
	Request           RequestForm // of an HTTP request, in place of Files
	Environment       []cronium.Variable
	Input             string
	InputSchema       string
	Target            cronium.TargetKind
	On                FleetForm
	Image             string
	Network           cronium.Network
	Timeout           string // "5 min", "90 s", "300"
	Memory            string // MiB
	CPUs              string
	Processes         string
	Disk              string // MiB
	Output            string // MiB
	Artifact          string // MiB
	Priority          cronium.Priority
	Concurrency       string
	Stage             string // the environment whose variables it reads
	GroupKey          string
	GroupLimit        string
	RateCount         string
	RatePeriod        string // "1 min"
	Attempts          string
	Initial           string // "10 s"
	Factor            string
	MaxWait           string
	ExitCodes         string // "75, 111"
	OnTimeout         bool
}

// FormOf is the form of an event as it is stored.
func FormOf(e *cronium.Event, c *cronium.Content) EventForm {
	f := EventForm{
		Name: e.Name, Description: e.Description, Base: e.Version,
		Files: c.Files, Environment: c.Environment,
		Input: components.JSONText(c.Input), InputSchema: components.JSONText(c.InputSchema),
		Target: c.Target, On: fleetFormOf(c.On), Image: c.Image, Network: c.Network,
		Timeout: components.Span(c.Limits.Timeout()), Memory: strconv.Itoa(c.Limits.MemoryMiB),
		CPUs: float(c.Limits.CPUs), Processes: strconv.Itoa(c.Limits.Processes),
		Disk: strconv.Itoa(c.Limits.DiskMiB), Output: strconv.Itoa(c.Limits.OutputMiB),
		Artifact: strconv.FormatInt(c.Limits.ArtifactBytes()>>20, 10),
		Priority: c.Priority, Stage: c.Stage, Concurrency: strconv.Itoa(c.Concurrency),
		Attempts: strconv.Itoa(max(c.Retry.Attempts, 1)), Initial: span(c.Retry.InitialSeconds), Factor: float(max(c.Retry.Factor, 1)),
		MaxWait: span(c.Retry.MaxSeconds), OnTimeout: c.Retry.OnTimeout,
	}
	var codes []string
	for _, code := range c.Retry.ExitCodes {
		codes = append(codes, strconv.Itoa(code))
	}
	f.ExitCodes = strings.Join(codes, ", ")
	f.GroupLimit = "1"
	if c.Group != nil {
		f.GroupKey, f.GroupLimit = c.Group.Key, strconv.Itoa(c.Group.Limit)
	}
	f.RateCount, f.RatePeriod = "0", "1 min"
	if c.Rate.Count > 0 {
		f.RateCount, f.RatePeriod = strconv.Itoa(c.Rate.Count), span(float64(c.Rate.Seconds))
	}
	for i, file := range c.Files {
		if file.Name == c.Entry {
			f.Entry = i
		}
	}
	return f
}

func float(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func span(seconds float64) string {
	return components.Span(time.Duration(seconds * float64(time.Second)))
}

// Summary says in plain words how and where a content runs. matching is how many
// servers its selector chooses now; below zero: not known.
func Summary(c *cronium.Content, matching int) []string {
	var list []string
	if c.Target == cronium.TargetServers && c.On != nil {
		list = append(FleetWords(c.On, matching), "It is stopped after "+components.Span(c.Limits.Timeout())+" on each.")
	} else {
		list = placeWords(c)
	}
	list = append(list, retryWords(c.Retry))
	if c.Concurrency > 0 {
		list = append(list, "At most "+components.Count(c.Concurrency, "run", "runs")+" at once; others wait.")
	}
	if c.Group != nil {
		list = append(list, "At most "+components.Count(c.Group.Limit, "job", "jobs")+" of the group "+c.Group.Key+" at once.")
	}
	if c.Rate.Count > 0 {
		list = append(list, "It starts "+rateWords(c.Rate)+".")
	}
	if c.Priority != cronium.PriorityNormal {
		list = append(list, "Its priority is "+string(c.Priority)+".")
	}
	return list
}

// rateWords say how often something starts: "at most 10 times in 1 min".
func rateWords(r cronium.Rate) string {
	return "at most " + components.Count(r.Count, "time", "times") + " in " + span(float64(r.Seconds))
}

// placeWords say how something runs on this machine.
func placeWords(c *cronium.Content) []string {
	where := "Runs in a fresh container from the runtime image."
	if c.Image != "" {
		where = "Runs in a fresh container from " + c.Image + "."
	}
	if c.Target == cronium.TargetProcess {
		where = "Runs as a process of this machine, without isolation."
	}
	network := map[cronium.Network]string{
		cronium.NetworkNone:     "It reaches no network.",
		cronium.NetworkInternet: "It reaches the internet, and nothing of this machine or its private networks.",
		cronium.NetworkFull:     "It reaches everything that this machine reaches.",
	}[c.Network]
	limits := "It gets " + components.Cores(c.Limits.CPUs) + " and " + components.Number(c.Limits.MemoryMiB) + " MiB, and is stopped after " + components.Span(c.Limits.Timeout()) + "."
	return []string{where, network, limits}
}

func retryWords(r cronium.Retry) string {
	if r.Attempts <= 1 {
		return "It is tried once."
	}
	text := "It is tried up to " + components.Number(r.Attempts) + " times"
	if len(r.ExitCodes) > 0 {
		var codes []string
		for _, code := range r.ExitCodes {
			codes = append(codes, strconv.Itoa(code))
		}
		text += " on exit " + strings.Join(codes, ", ")
	}
	return text + ", first after " + span(r.InitialSeconds) + "."
}

// ParseSpan reads a span of time as people write it: "300", "90 s", "5 min",
// "1 h 30 min". A number alone is seconds.
func ParseSpan(text string) (seconds float64, ok bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n, true
	}
	units := map[string]float64{"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
	for text != "" {
		end := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if end <= 0 {
			return 0, false
		}
		n, err := strconv.ParseFloat(text[:end], 64)
		text = strings.TrimLeft(text[end:], " ")
		unitEnd := strings.IndexFunc(text, func(r rune) bool { return r < 'a' || r > 'z' })
		if unitEnd < 0 {
			unitEnd = len(text)
		}
		unit, known := units[text[:unitEnd]]
		if err != nil || !known {
			return 0, false
		}
		seconds += n * unit
		text = strings.TrimLeft(text[unitEnd:], " ")
	}
	return seconds, seconds > 0
}
