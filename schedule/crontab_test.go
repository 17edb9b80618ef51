package schedule

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

const systemCrontab = `# /etc/crontab: system-wide crontab
SHELL=/bin/sh
PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin
MAILTO="ops@example.com"

# Example of job definition:
# .---------------- minute (0 - 59)
# *  *  *  *  * user-name command to be executed
17 *	* * *	root	cd / && run-parts --report /etc/cron.hourly
25 6	* * *	root	test -x /usr/sbin/anacron || run-parts /etc/cron.daily
# Nightly dump of the shop:
CRON_TZ=Europe/Berlin
RANDOM_DELAY=5
30 2 * * 1-5 postgres /usr/local/bin/dump.sh --full >/dev/null 2>&1
`

const userCrontab = `# m h  dom mon dow   command
# Mail the report
0 8 * * 1 mail -s "Report of $(date +\%F)" boss@example.com%Dear boss,%all is well.
@hourly FOO=1 /opt/app/bin/sync --all
#0 3 * * * /old/thing
@reboot /opt/app/start
0 0 31 2 * never
not a line
SHELL=/usr/bin/fish
EMPTY=
NAME = 'some value'
*/5 * * * * echo hi
`

func read(t *testing.T, text string) *Crontab {
	t.Helper()
	tab, err := ReadCrontab(text, FormatAny)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestASystemCrontab(t *testing.T) {
	t.Parallel()
	tab := read(t, systemCrontab)
	if tab.Format != FormatSystem || len(tab.Entries) != 3 {
		t.Fatalf("%+v", tab)
	}
	first, last := tab.Entries[0], tab.Entries[2]
	if first.User != "root" || first.Expression != "17 * * * *" || first.Name != "run-parts --report /etc/cron.hourly" || first.Problem != "" || first.Zone != "" {
		t.Errorf("first %+v", first)
	}
	if len(first.Environment) != 1 || first.Environment[0].Name != "PATH" {
		t.Errorf("environment %+v", first.Environment)
	}
	// The comment is not directly above, but settings stand in between.
	if last.User != "postgres" || last.Zone != "Europe/Berlin" || last.JitterSeconds != 300 || last.Name != "dump.sh --full" || !strings.Contains(last.Script, "\n/usr/local/bin/dump.sh --full >/dev/null 2>&1\n") {
		t.Errorf("last %+v", last)
	}
	if len(tab.Notes) != 2 || tab.Notes[0].Line != 4 || !strings.Contains(tab.Notes[0].Text, "MAILTO") {
		t.Errorf("notes %+v", tab.Notes)
	}
}

func TestAUsersCrontab(t *testing.T) {
	t.Parallel()
	tab := read(t, userCrontab)
	if tab.Format != FormatUser || len(tab.Entries) != 5 {
		t.Fatalf("%d entries %+v", len(tab.Entries), tab.Entries)
	}
	for i, want := range []string{"Mail the report|", "sync --all|", "start|webhook", "never|never run", "echo hi|"} {
		name, problem, _ := strings.Cut(want, "|")
		if e := tab.Entries[i]; e.Name != name || !strings.Contains(e.Problem, problem) || (problem == "") != (e.Problem == "") {
			t.Errorf("entry %d: %+v, want %s", i, e, want)
		}
	}
	last := tab.Entries[4]
	if len(last.Notes) != 1 || !strings.Contains(last.Notes[0], "fish") || fmt.Sprint(last.Environment) != "[{EMPTY } {NAME some value}]" {
		t.Errorf("last %+v", last)
	}
	var notes []string
	for _, n := range tab.Notes {
		notes = append(notes, fmt.Sprint(n.Line))
	}
	if strings.Join(notes, " ") != "5 8" {
		t.Errorf("notes %+v", tab.Notes)
	}
}

// The script does what cron does with a %.
func TestTheScriptOfALineDoesWhatItDid(t *testing.T) {
	t.Parallel()
	tab := read(t, `* * * * * tr a-z A-Z%one%INPUT%100\% of two`+"\n"+`* * * * * printf '\%s\n' plain`)
	for i, want := range []string{"ONE\nINPUT\n100% OF TWO\n", "plain\n"} {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", tab.Entries[i].Script)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/"}
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s\nprinted %q, %v", tab.Entries[i].Script, out, err)
		}
	}
}

func TestACrontabThatIsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("#", MaxCrontabBytes+1), strings.Repeat("* * * * * true\n", MaxCrontabEntries+1)} {
		if _, err := ReadCrontab(text, FormatAny); err == nil {
			t.Errorf("%d bytes were taken", len(text))
		}
	}
}

func FuzzReadCrontab(f *testing.F) {
	f.Add(systemCrontab)
	f.Add(userCrontab)
	f.Add("\"A B\"=c\n@every 5m x%%\\%\n\x00 * * * * \xff\n")
	f.Fuzz(func(t *testing.T, text string) {
		tab, err := ReadCrontab(text, FormatAny)
		if err != nil {
			return
		}
		for _, e := range tab.Entries {
			if e.Name == "" || !utf8.ValidString(e.Name) || utf8.RuneCountInString(e.Name) > longestName || strings.TrimSpace(e.Name) != e.Name || strings.ContainsAny(e.Name, "\x00\n\r\t") {
				t.Errorf("line %d is named %q", e.Line, e.Name)
			}
			if _, err := Parse(Spec{Kind: "CRON", Expression: e.Expression}); err != nil && e.Problem == "" {
				t.Errorf("line %d: %v, and no problem", e.Line, err)
			}
		}
	})
}
