package cronium

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of an event's content.
const (
	MaxFiles       = 50
	MaxFileBytes   = 1 << 20 // one file
	MaxFilesBytes  = 4 << 20 // all files of an event
	MaxInputBytes  = 1 << 20
	MaxSchemaBytes = 64 << 10
	MaxVariables   = 100
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	imageName    = regexp.MustCompile(`^[a-z0-9]+(?:[._/:@-][A-Za-z0-9_]+|[._-]{2}[A-Za-z0-9_]+)*$`)
)

// ValidateEvent checks a name and description.
func ValidateEvent(name, description string, t EventType) Problems {
	var p Problems
	n := utf8.RuneCountInString(name)
	p.Add(strings.TrimSpace(name) == name && n >= 1 && n <= 120 && printable(name), "name",
		"must have 1 to 120 printable characters, with no space at either end")
	p.Add(utf8.RuneCountInString(description) <= 2000 && utf8.ValidString(description) && !strings.ContainsRune(description, 0),
		"description", "must have at most 2,000 characters")
	p.Add(slices.Contains(EventTypes, t), "type", "must be PYTHON, NODEJS, BASH or HTTP_REQUEST")
	return p
}

// Validate checks a content before it becomes a version. Field names in the
// problems are those of the API.
func (c *Content) Validate() Problems {
	var p Problems
	c.validateFiles(&p)
	c.validateEnvironment(&p)
	p.Add(c.Stage == "" || environment.MatchString(c.Stage), "stage", "must be a word like prod or staging, of at most 40 characters")
	p.Add(len(c.Input) <= MaxInputBytes, "input", "must be at most 1 MiB")
	p.Add(len(c.Input) == 0 || json.Valid(c.Input) && utf8.Valid(c.Input), "input", "must be JSON, like {\"customer\": 7}")
	p.Add(len(c.InputSchema) <= MaxSchemaBytes, "input_schema", "must be at most 64 KiB")
	p.Add(len(c.InputSchema) == 0 || json.Valid(c.InputSchema) && utf8.Valid(c.InputSchema), "input_schema", "must be a JSON Schema, like {\"type\": \"object\"}")
	p.Add(c.Target == TargetContainer || c.Target == TargetProcess || c.Target == TargetServers, "target", "must be container, process or servers")
	c.validateFleet(&p)
	p.Add(c.Image == "" || len(c.Image) <= 255 && imageName.MatchString(c.Image), "image",
		"must be an image reference like python:3.12-slim, or empty for the runtime image")
	p.Add(slices.Contains(Networks, c.Network), "network", "must be none, internet or full")
	p.Add(c.Priority.Valid(), "priority", "must be LOW, NORMAL, HIGH or CRITICAL")
	p.Add(c.Concurrency >= 0 && c.Concurrency <= 1000, "concurrency", "must be between 0 (no limit) and 1,000")
	c.validateStarts(&p)
	c.Limits.validate(&p)
	c.Retry.validate(&p)
	c.validateThen(&p)
	return p
}

// validateStarts checks what bounds how many jobs run and start.
func (c *Content) validateStarts(p *Problems) {
	if g := c.Group; g != nil {
		n := utf8.RuneCountInString(g.Key)
		p.Add(n >= 1 && n <= 200 && printable(g.Key), "group.key", "must have 1 to 200 printable characters, like deploy-{{input.customer}}")
		p.Add(g.Limit >= 1 && g.Limit <= 1000, "group.limit", "must be between 1 and 1,000")
	}
	*p = append(*p, c.Rate.Validate("rate")...)
}

// Validate checks a rate; field is its name in the problems.
func (r Rate) Validate(field string) Problems {
	var p Problems
	p.Add(r.Count >= 0 && r.Count <= 100_000, field+".count", "must be between 0 (no limit) and 100,000")
	p.Add(r.Count == 0 || r.Seconds >= 1 && r.Seconds <= 86_400, field+".seconds", "must be between 1 and 86,400 (a day)")
	return p
}

func (c *Content) validateFleet(p *Problems) {
	switch {
	case c.Target == TargetServers && c.On != nil:
		*p = append(*p, c.On.Validate()...)
	case c.Target == TargetServers:
		p.Add(false, "on", "must say on which servers it runs")
	default:
		p.Add(c.On == nil, "on", "is for the target servers alone")
	}
}

func (c *Content) validateFiles(p *Problems) {
	p.Add(len(c.Files) >= 1 && len(c.Files) <= MaxFiles, "files", "must be 1 to %d files", MaxFiles)
	total, seen := 0, map[string]bool{}
	for i, f := range c.Files {
		field := fmt.Sprintf("files[%d]", i)
		p.Add(ValidFileName(f.Name), field+".name",
			"must be a relative name like lib/parse.py, of at most 200 characters, without .. or a leading slash")
		folded := strings.ToLower(f.Name)
		p.Add(!seen[folded], field+".name", "is used twice; upper and lower case count as the same")
		seen[folded] = true
		p.Add(len(f.Content) <= MaxFileBytes, field+".content", "must be at most 1 MiB")
		p.Add(utf8.ValidString(f.Content), field+".content", "must be UTF-8 text")
		total += len(f.Content)
	}
	p.Add(total <= MaxFilesBytes, "files", "must be at most 4 MiB in all")
	p.Add(slices.ContainsFunc(c.Files, func(f File) bool { return f.Name == c.Entry }), "entry", "must name one of the files")
}

// ValidFileName tells whether name may be a file of an event: relative, clean,
// slash-separated UTF-8 without control characters.
func ValidFileName(name string) bool {
	if name == "" || len(name) > 200 || !printable(name) || strings.Contains(name, "\\") {
		return false
	}
	return path.Clean(name) == name && !path.IsAbs(name) && name != "." && name != ".." && !strings.HasPrefix(name, "../")
}

func (c *Content) validateEnvironment(p *Problems) {
	p.Add(len(c.Environment) <= MaxVariables, "environment", "must be at most %d variables", MaxVariables)
	seen := map[string]bool{}
	for i, v := range c.Environment {
		field := fmt.Sprintf("environment[%d]", i)
		p.Add(variableName.MatchString(v.Name), field+".name",
			"must be letters, digits and underscores, not starting with a digit, at most 128")
		p.Add(!strings.HasPrefix(strings.ToUpper(v.Name), "CRONIUM_"), field+".name", "must not start with CRONIUM_")
		p.Add(!seen[v.Name], field+".name", "is set twice")
		seen[v.Name] = true
		p.Add(len(v.Value) <= 32<<10 && utf8.ValidString(v.Value) && !strings.ContainsRune(v.Value, 0), field+".value",
			"must be text of at most 32 KiB without NUL")
	}
}

func (l Limits) validate(p *Problems) {
	p.Add(l.TimeoutSeconds >= 1 && l.TimeoutSeconds <= 604800, "limits.timeout_seconds", "must be between 1 and 604,800 (a week)")
	p.Add(l.MemoryMiB >= 16 && l.MemoryMiB <= 65536, "limits.memory_mib", "must be between 16 and 65,536")
	p.Add(l.CPUs >= 0.1 && l.CPUs <= 64, "limits.cpus", "must be between 0.1 and 64")
	p.Add(l.Processes >= 4 && l.Processes <= 4096, "limits.processes", "must be between 4 and 4,096")
	p.Add(l.DiskMiB >= 1 && l.DiskMiB <= l.MemoryMiB, "limits.disk_mib",
		"must be between 1 and the memory limit, because the work directory is kept in memory")
	p.Add(l.OutputMiB >= 1 && l.OutputMiB <= 4096, "limits.output_mib", "must be between 1 and 4,096")
	p.Add(l.ArtifactMiB >= 0 && l.ArtifactMiB <= 4096, "limits.artifact_mib", "must be between 1 and 4,096")
}

func (r Retry) validate(p *Problems) {
	p.Add(r.Attempts >= 1 && r.Attempts <= 20, "retry.attempts", "must be between 1 (no retry) and 20")
	p.Add(r.InitialSeconds >= 0 && r.InitialSeconds <= 86400, "retry.initial_seconds", "must be between 0 and 86,400")
	p.Add(r.Factor == 0 || r.Factor >= 1 && r.Factor <= 10, "retry.factor", "must be between 1 and 10")
	p.Add(r.MaxSeconds >= 0 && r.MaxSeconds <= 86400, "retry.max_seconds", "must be between 0 and 86,400")
	p.Add(len(r.ExitCodes) <= 50, "retry.exit_codes", "must be at most 50 codes")
	for _, code := range r.ExitCodes {
		p.Add(code >= 1 && code <= 255, "retry.exit_codes", "must be numbers from 1 to 255, like 75")
	}
}

// printable tells whether s is UTF-8 without control characters.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 })
}
