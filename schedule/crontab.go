package schedule

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"cronium.dev/cronium"
)

// Format says whether the lines of a crontab name a user.
type Format string

// The formats.
const (
	FormatAny    Format = ""       // found out from the lines
	FormatUser   Format = "user"   // as `crontab -l` prints it: five fields and the command
	FormatSystem Format = "system" // as /etc/crontab and /etc/cron.d have it: a user before the command
)

// Bounds of a crontab.
const (
	MaxCrontabBytes   = 1 << 20
	MaxCrontabEntries = 1000
)

// Crontab is what a crontab's text says.
type Crontab struct {
	Format  Format // FormatUser or FormatSystem
	Entries []CrontabEntry
	Notes   []CrontabNote // on lines that become nothing
}

// CrontabEntry is one line that runs something.
type CrontabEntry struct {
	Line          int // from 1
	Text          string
	Name          string // from the comment above it, or from the command
	Expression    string // for ScheduleCron
	Zone          string // of CRON_TZ; "" = what the machine has
	JitterSeconds int    // of RANDOM_DELAY
	User          string // with FormatSystem
	Command       string // its first line, for a person
	Script        string // for Bash
	Environment   []cronium.Variable
	Notes         []string // what is different here
	Problem       string   // why it cannot be made
}

// CrontabNote is what is said of one line.
type CrontabNote struct {
	Line int
	Text string
}

var (
	crontabSetting = regexp.MustCompile(`^(?:"([^"]*)"|'([^']*)'|([A-Za-z_][A-Za-z0-9_]*))\s*=\s*(.*)$`)
	crontabFields  = regexp.MustCompile(`^(@\S+|\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$`)
	userName       = regexp.MustCompile(`^[a-z_][a-z0-9_.-]{0,31}\$?$`)
	settingName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
)

// ReadCrontab reads the text of a crontab. What cannot be taken over is said at
// its line; a text that is too long is a *Problem of the field "text".
func ReadCrontab(text string, format Format) (*Crontab, error) {
	if len(text) > MaxCrontabBytes {
		return nil, problemf("text", "A crontab has at most 1 MiB.")
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if format == FormatAny {
		format = guessFormat(lines)
	}
	r := crontabReader{tab: &Crontab{Format: format}}
	for i, line := range lines {
		r.line(i+1, strings.TrimSpace(line))
		if len(r.tab.Entries) > MaxCrontabEntries {
			return nil, problemf("text", "More than %d lines at once are not taken over. Import a part of them first.", MaxCrontabEntries)
		}
	}
	return r.tab, nil
}

// guessFormat takes a crontab for one of the system where each command seems to
// begin with a user's name, and one of them is root's.
func guessFormat(lines []string) Format {
	roots := 0
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || crontabSetting.MatchString(line) {
			continue
		}
		parts := crontabFields.FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		user, command, _ := strings.Cut(strings.ReplaceAll(parts[2], "\t", " "), " ")
		if !userName.MatchString(user) || strings.TrimSpace(command) == "" {
			return FormatUser
		}
		if user == "root" {
			roots++
		}
	}
	if roots > 0 {
		return FormatSystem
	}
	return FormatUser
}

// crontabReader goes through the lines. Settings hold from their line on.
type crontabReader struct {
	tab         *Crontab
	comment     string // directly above
	zone, shell string
	jitter      int
	environment []cronium.Variable
}

func (r *crontabReader) note(line int, format string, args ...any) {
	r.tab.Notes = append(r.tab.Notes, CrontabNote{line, fmt.Sprintf(format, args...)})
}

func (r *crontabReader) line(number int, line string) {
	comment := r.comment
	r.comment = ""
	switch {
	case line == "":
		return
	case line[0] == '#':
		r.comment = r.readComment(number, strings.TrimSpace(strings.TrimLeft(line, "#")))
		return
	}
	if s := crontabSetting.FindStringSubmatch(line); s != nil {
		r.setting(number, s[1]+s[2]+s[3], unquoted(strings.TrimSpace(s[4])))
		return
	}
	r.entry(number, line, comment)
}

// readComment gives what may name the entry below.
func (r *crontabReader) readComment(number int, text string) string {
	if parts := crontabFields.FindStringSubmatch(text); parts != nil {
		if _, err := Parse(Spec{Kind: cronium.ScheduleCron, Expression: parts[1]}); err == nil {
			r.note(number, "A line that is commented out stays out.")
			return ""
		}
	}
	words := strings.Fields(strings.ToLower(text))
	for _, heading := range []string{"dow", "dom", "user-name"} { // the table's own heading
		for _, w := range words {
			if w == heading {
				return ""
			}
		}
	}
	return text
}

func (r *crontabReader) setting(number int, name, value string) {
	switch {
	case name == "CRON_TZ":
		if _, err := Zone(value); err != nil {
			r.note(number, "%s The lines below keep the time zone that is chosen for all.", err)
			value = ""
		}
		r.zone = value
	case name == "SHELL":
		r.shell = value
	case name == "MAILTO" || name == "MAILFROM":
		r.note(number, "%s is not taken over: the output of each run is kept, and an event can tell people what becomes of it.", name)
	case name == "RANDOM_DELAY":
		minutes, err := strconv.Atoi(value)
		if err != nil || minutes < 0 || minutes > 60 {
			r.note(number, "RANDOM_DELAY is not taken over: it must be 0 to 60 minutes.")
			return
		}
		r.jitter = minutes * 60
	case !settingName.MatchString(name) || strings.HasPrefix(strings.ToUpper(name), "CRONIUM_"):
		r.note(number, "%q cannot be the name of a variable here.", name)
	case len(value) > 32<<10:
		r.note(number, "The value of %s is longer than 32 KiB.", name)
	default:
		kept := make([]cronium.Variable, 0, len(r.environment)+1)
		for _, v := range r.environment {
			if v.Name != name {
				kept = append(kept, v)
			}
		}
		r.environment = append(kept, cronium.Variable{Name: name, Value: value})
	}
}

func unquoted(value string) string {
	if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		return value[1 : n-1]
	}
	return value
}

func (r *crontabReader) entry(number int, line, comment string) {
	e := CrontabEntry{Line: number, Text: line, Zone: r.zone, JitterSeconds: r.jitter, Environment: r.environment}
	parts := crontabFields.FindStringSubmatch(strings.TrimPrefix(line, "-"))
	if parts == nil {
		r.note(number, "This is neither a comment nor a setting, nor five fields and a command.")
		return
	}
	e.Expression = strings.Join(strings.Fields(parts[1]), " ")
	command := parts[2]
	if r.tab.Format == FormatSystem {
		i := strings.IndexAny(command, " \t")
		if i < 0 || !userName.MatchString(command[:i]) {
			e.Problem = "There is no user before the command. Is it the crontab of a user?"
		} else {
			e.User, command = command[:i], strings.TrimSpace(command[i:])
		}
	}
	if _, err := Parse(Spec{Kind: cronium.ScheduleCron, Expression: e.Expression}); err != nil && e.Problem == "" {
		e.Problem = err.Error()
	}
	run, input, hasInput := splitPercent(command)
	e.Command, _, _ = strings.Cut(run, "\n")
	e.Name = entryName(comment, run)
	e.Script = entryScript(number, line, run, input, hasInput)
	if hasInput {
		e.Notes = append(e.Notes, "What follows the % is given to the command as its input, as cron does.")
	}
	if shell := r.shell[strings.LastIndexByte(r.shell, '/')+1:]; shell != "" && shell != "sh" && shell != "bash" && shell != "dash" {
		e.Notes = append(e.Notes, fmt.Sprintf("SHELL is %s; it is run by Bash here.", r.shell))
	}
	if len(e.Environment) > cronium.MaxVariables {
		e.Problem = fmt.Sprintf("It has %d variables, and %d are the most.", len(e.Environment), cronium.MaxVariables)
	}
	r.tab.Entries = append(r.tab.Entries, e)
}

// splitPercent reads a command as cron does: the first % that is not escaped ends
// it, what follows is its input, and each further % there is the end of a line.
func splitPercent(text string) (command, input string, hasInput bool) {
	var parts []string
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == '%':
			b.WriteByte('%')
			i++
		case text[i] == '%':
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(text[i])
		}
	}
	parts = append(parts, b.String())
	return parts[0], strings.Join(parts[1:], "\n"), len(parts) > 1
}

// entryScript is the script that does what a line does.
func entryScript(number int, line, command, input string, hasInput bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Line %d of a crontab:\n# %s\n\n", number, line)
	b.WriteString("cd # cron runs commands in the home folder\n")
	if !hasInput {
		b.WriteString(command + "\n")
		return b.String()
	}
	end := "INPUT"
	for n := 2; strings.Contains("\n"+input+"\n", "\n"+end+"\n"); n++ {
		end = "INPUT" + strconv.Itoa(n)
	}
	fmt.Fprintf(&b, "{ %s\n} <<'%s'\n", command, end)
	if input != "" {
		b.WriteString(input + "\n")
	}
	b.WriteString(end + "\n")
	return b.String()
}
