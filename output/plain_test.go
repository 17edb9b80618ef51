package output_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"cronium.dev/output"
)

func TestPlainIsWhatIsSeenInTheEnd(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"plain\ttext é🙂":                           "plain\ttext é🙂",
		"\x1b[1;31merror:\x1b[0m no such file":     "error: no such file",
		"\x1b(B\x1b[mtput's reset\x1b(B":           "tput's reset",
		"\x1b]0;title\x07after":                    "after",
		"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "link",
		"\x1bPq#0;2;0;0;0\x1b\\sixel":              "sixel",
		"\x1b_hidden\x1b\\a\x1b^b\x1b\\c":          "ac",
		"\x1b7saved\x1b8\x1b=":                     "saved",
		"\x1b]0;never ended \x1b[31mred":           "red",
		"cut in a sequence \x1b[38;5":              "cut in a sequence",
		"broken \x1b[31é":                          "broken é",
		"ends with \x1b":                           "ends with",
		"10%\r20%\r30%":                            "30%",
		"downloading 100%\rdone":                   "doneloading 100%", // as on a terminal
		"downloading 100%\r\x1b[Kdone":             "done",
		"downloading\x1b[2K\rdone":                 "done",
		"abcdef\b\b\b\x1b[1KX":                     "   Xef",
		"dos line\r":                               "dos line",
		"typo\b\bing":                              "tying",
		"\b\bstart":                                "start",
		"bell\x07 null␀ del\x7f c1\u009b":          "bell null␀ del c1",
		"":                                         "",
	} {
		if got := output.Plain(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"\x1b[1;31mred\x1b[0m", "a\rb\x1b[K", "\x1b]8;;x\x07", "\xff\x1b(", "\x1b[2K\b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		line = strings.ReplaceAll(output.Text([]byte(line)), "\n", "")
		got := output.Plain(line)
		if !utf8.ValidString(got) || len(got) > len(line) {
			t.Errorf("%q gives %q", line, got)
		}
		if again := output.Plain(got); again != got {
			t.Errorf("%q gives %q, and that gives %q", line, got, again)
		}
	})
}
