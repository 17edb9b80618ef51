package schedule

import (
	"strings"
	"unicode"
)

// longestName is the most characters that a name of an entry has. There is room
// for a number behind it.
const longestName = 100

// entryName names an entry: by the comment above it where that has a word, else
// by its command.
func entryName(comment, command string) string {
	if name := cleanName(comment); strings.ContainsFunc(name, unicode.IsLetter) {
		return name
	}
	if name := cleanName(commandName(command)); name != "" {
		return name
	}
	return "Line of a crontab"
}

// commandName is the part of a command that tells it from others: without what
// only prepares it, the folder of the program, and where its output goes.
func commandName(command string) string {
	command, _, _ = strings.Cut(command, "\n")
	for strings.HasPrefix(command, "cd ") || strings.HasPrefix(command, "test ") || strings.HasPrefix(command, "[ ") || strings.HasPrefix(command, "command -v ") {
		i := strings.Index(command, "&&")
		if i < 0 {
			break
		}
		command = strings.TrimLeft(command[i+2:], " (")
	}
	words := strings.Fields(command)
	for len(words) > 1 && (words[0] == "sudo" || words[0] == "nice" || words[0] == "ionice" || strings.Contains(words[0], "=")) {
		words = words[1:]
	}
	for i, w := range words {
		if strings.ContainsAny(w, "<>|;&") {
			words = words[:i]
			break
		}
	}
	if len(words) == 0 {
		return command
	}
	words[0] = words[0][strings.LastIndexByte(words[0], '/')+1:]
	return strings.Join(words, " ")
}

// cleanName makes a text one line of printable characters.
func cleanName(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(strings.Trim(text, " \t#-=*:.")), " ")
	if runes := []rune(text); len(runes) > longestName {
		text = strings.TrimSpace(string(runes[:longestName-1])) + "…"
	}
	return text
}
