package inventory

import (
	"fmt"
	"strconv"
	"strings"
)

// readINI reads an inventory in the INI form.
func (t *tree) readINI(text string) error {
	group, part := "", "hosts"
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			name, rest, closed := strings.Cut(line[1:], "]")
			if rest = strings.TrimSpace(rest); !closed || rest != "" && rest[0] != '#' {
				t.plan.ignore(number, "“%s” is no group: a group's line is [name].", clip(line))
				continue
			}
			group, part, _ = strings.Cut(strings.TrimSpace(name), ":")
			if part == "" {
				part = "hosts"
			}
			t.group(group, number)
			continue
		}
		if err := t.iniLine(group, part, line, number); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) iniLine(group, part, line string, number int) error {
	switch part {
	case "hosts":
		return t.iniHosts(group, line, number)
	case "vars":
		key, value, found := strings.Cut(line, "=")
		if !found {
			t.plan.ignore(number, "“%s” is no variable: expected is name=value.", clip(line))
			return nil
		}
		t.group(group, number).vars[strings.TrimSpace(key)] = variable{number, unquoted(strings.TrimSpace(value))}
	case "children":
		name, _, _ := strings.Cut(line, " ")
		child := t.group(name, number)
		child.groups = append(child.groups, group)
	default:
		t.plan.ignore(number, "[%s:%s] is not known; known are [name], [name:vars] and [name:children].", clip(group), clip(part))
	}
	return nil
}

// iniHosts reads "web[01:20] ansible_host=… rack=12".
func (t *tree) iniHosts(group, line string, number int) error {
	words := iniWords(line)
	names, err := expand(words[0])
	if err != nil {
		t.plan.ignore(number, "%v", err)
		return nil
	}
	for _, name := range names {
		port := ""
		if strings.Count(name, ":") == 1 {
			name, port, _ = strings.Cut(name, ":")
		}
		h, err := t.addHost(name, group, number)
		if err != nil {
			return err
		}
		if port != "" {
			h.vars["ansible_port"] = variable{number, port}
		}
		if err := t.spend(len(words)); err != nil {
			return err
		}
		for _, word := range words[1:] {
			key, value, found := strings.Cut(word, "=")
			if found {
				h.vars[key] = variable{number, value}
			} else {
				t.plan.ignore(number, "“%s” is no variable: expected is name=value.", clip(word))
			}
		}
	}
	return nil
}

// iniWords splits at spaces, up to a comment. Quotes hold a value together and
// are taken out.
func iniWords(line string) (words []string) {
	var word strings.Builder
	quote, any := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, any = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if any {
				words = append(words, word.String())
				word.Reset()
				any = false
			}
		case quote == 0 && r == '#' && !any:
			return words
		default:
			word.WriteRune(r)
			any = true
		}
	}
	if any {
		words = append(words, word.String())
	}
	return words
}

func unquoted(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// expand gives the names of a pattern with ranges: web[01:20], db-[a:f], [1:9:2].
func expand(pattern string) ([]string, error) {
	before, rest, found := strings.Cut(pattern, "[")
	if !found {
		return []string{pattern}, nil
	}
	inside, after, closed := strings.Cut(rest, "]")
	if !closed || !strings.Contains(inside, ":") {
		return []string{pattern}, nil
	}
	values, err := expandRange(inside)
	if err != nil {
		return nil, fmt.Errorf("“%s”: %w", clip(pattern), err)
	}
	ends, err := expand(after)
	if err != nil {
		return nil, err
	}
	if len(values)*len(ends) > MaxHosts {
		return nil, fmt.Errorf("“%s” is more than 2,000 hosts", clip(pattern))
	}
	var names []string
	for _, value := range values {
		for _, end := range ends {
			names = append(names, before+value+end)
		}
	}
	return names, nil
}

func expandRange(text string) ([]string, error) {
	parts := strings.Split(text, ":")
	step := 1
	if len(parts) == 3 {
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 {
			return nil, fmt.Errorf("its step must be a number from 1")
		}
		step = n
	}
	if len(parts) > 3 {
		return nil, fmt.Errorf("its range must be like [01:20]")
	}
	var values []string
	if len(parts[0]) == 1 && len(parts[1]) == 1 && letter(parts[0][0]) && letter(parts[1][0]) {
		for c := int(parts[0][0]); c <= int(parts[1][0]); c += step {
			values = append(values, string(rune(c)))
		}
	} else {
		from, err := strconv.Atoi(parts[0])
		to, err2 := strconv.Atoi(parts[1])
		if err != nil || err2 != nil || from < 0 || to < from || (to-from)/step >= MaxHosts {
			return nil, fmt.Errorf("its range must be like [01:20], of at most 2,000")
		}
		width := 0
		if strings.HasPrefix(parts[0], "0") {
			width = len(parts[0])
		}
		for n := from; n <= to; n += step {
			values = append(values, fmt.Sprintf("%0*d", min(width, 20), n))
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("its range is empty")
	}
	return values, nil
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
