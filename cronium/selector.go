package cronium

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a selector.
const (
	MaxSelector  = 2000 // characters
	maxSelectors = 60   // parentheses and nots within each other
)

// Selector chooses servers by their tags, name, environment and kind:
//
//	env=prod and role in (web, api) and not name=edge-*
//
//	role=web              the tag role is web; != is the opposite, also of servers without the tag
//	role in (web, api)    is one of them; not in: none of them
//	gpu                   has the tag, whatever its value
//	name=edge-*           the name; upper and lower case count as the same
//	env=prod              the environment, or the tag env of a server without one
//	kind=ssh              or agent
//
// "and" binds closer than "or", "not" closer than both. A * outside quotes stands
// for any characters.
type Selector struct{ match func(*selectable) bool }

type selectable struct {
	name, environment string
	kind              ServerKind
	tags              map[string]string
}

// SelectorError says where a selector cannot be read, and what would be right.
type SelectorError struct {
	At      int // character, from 1
	Message string
}

func (e *SelectorError) Error() string { return fmt.Sprintf("character %d: %s", e.At, e.Message) }

// Matches tells whether the selector chooses a server.
func (s *Selector) Matches(name, environment string, kind ServerKind, tags map[string]string) bool {
	return s.match(&selectable{name, environment, kind, tags})
}

// ParseSelector reads a selector. It fails with a *SelectorError.
func ParseSelector(text string) (*Selector, error) {
	if utf8.RuneCountInString(text) > MaxSelector || !utf8.ValidString(text) {
		return nil, &SelectorError{1, "the selector must be text of at most 2,000 characters"}
	}
	p := &selectorParser{}
	if err := p.scan(text); err != nil {
		return nil, err
	}
	match, err := p.either()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokenEnd {
		return nil, t.unexpected("“and”, “or” or the end")
	}
	return &Selector{match}, nil
}

type matcher = func(*selectable) bool

type selectorParser struct {
	tokens []selectorToken
	at     int
	depth  int
}

func (p *selectorParser) peek() selectorToken { return p.tokens[p.at] }

func (p *selectorParser) next() selectorToken {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// take goes on when the next token is the keyword.
func (p *selectorParser) take(keyword string) bool {
	if !p.peek().is(keyword) {
		return false
	}
	p.at++
	return true
}

func (p *selectorParser) either() (matcher, error) {
	return p.chain("or", p.both, func(a, b matcher) matcher { return func(s *selectable) bool { return a(s) || b(s) } })
}

func (p *selectorParser) both() (matcher, error) {
	return p.chain("and", p.one, func(a, b matcher) matcher { return func(s *selectable) bool { return a(s) && b(s) } })
}

func (p *selectorParser) chain(keyword string, part func() (matcher, error), join func(a, b matcher) matcher) (matcher, error) {
	match, err := part()
	for err == nil && p.take(keyword) {
		var other matcher
		if other, err = part(); err == nil {
			match = join(match, other)
		}
	}
	return match, err
}

func (p *selectorParser) one() (matcher, error) {
	if p.depth++; p.depth > maxSelectors {
		return nil, &SelectorError{p.peek().at, "there are too many parentheses within each other"}
	}
	defer func() { p.depth-- }()
	switch t := p.next(); {
	case t.is("not"):
		match, err := p.one()
		return func(s *selectable) bool { return !match(s) }, err
	case t.kind == tokenOpen:
		match, err := p.either()
		if err != nil {
			return nil, err
		}
		if end := p.next(); end.kind != tokenClose {
			return nil, end.unexpected("“and”, “or” or “)”")
		}
		return match, nil
	case t.kind == tokenWord && !t.keyword():
		return p.condition(t)
	default:
		return nil, t.unexpected("a condition like role=web, “not” or “(”")
	}
}

// condition reads what follows a key.
func (p *selectorParser) condition(key selectorToken) (matcher, error) {
	if strings.Contains(key.text, "*") {
		return nil, &SelectorError{key.at, "a tag's name has no *; values may, like name=web-*"}
	}
	var wanted []selectorToken
	negated := false
	switch t := p.peek(); {
	case t.kind == tokenEqual || t.kind == tokenUnequal:
		p.next()
		negated = t.kind == tokenUnequal
		value := p.next()
		if value.kind != tokenWord {
			return nil, value.unexpected("a value, like web or \"two words\"")
		}
		wanted = []selectorToken{value}
	case t.is("in") || t.is("not") && p.tokens[p.at+1].is("in"):
		negated = p.take("not")
		p.next()
		var err error
		if wanted, err = p.list(); err != nil {
			return nil, err
		}
	default:
		return exists(key)
	}
	match, err := equals(key, wanted)
	if err == nil && negated {
		is := match
		match = func(s *selectable) bool { return !is(s) }
	}
	return match, err
}

func (p *selectorParser) list() ([]selectorToken, error) {
	if t := p.next(); t.kind != tokenOpen {
		return nil, t.unexpected("“(” and values, like (web, api)")
	}
	var values []selectorToken
	for {
		value := p.next()
		if value.kind != tokenWord {
			return nil, value.unexpected("a value")
		}
		values = append(values, value)
		switch t := p.next(); t.kind {
		case tokenComma:
		case tokenClose:
			return values, nil
		default:
			return nil, t.unexpected("“,” or “)”")
		}
	}
}

func exists(key selectorToken) (matcher, error) {
	switch strings.ToLower(key.text) {
	case "name", "kind":
		return nil, &SelectorError{key.at, fmt.Sprintf("every server has a %s; say which, like %[1]s=…", strings.ToLower(key.text))}
	case "env", "environment":
		return func(s *selectable) bool { env, has := s.env(); return has && env != "" }, nil
	}
	return func(s *selectable) bool { _, has := s.tags[key.text]; return has }, nil
}

// equals tells whether a server's value is one of those wanted.
func equals(key selectorToken, wanted []selectorToken) (matcher, error) {
	value := func(s *selectable) (string, bool) { v, has := s.tags[key.text]; return v, has }
	fold := false
	switch strings.ToLower(key.text) {
	case "name":
		fold = true
		value = func(s *selectable) (string, bool) { return strings.ToLower(s.name), true }
	case "env", "environment":
		value = (*selectable).env
	case "kind":
		for _, w := range wanted {
			if w.text != string(ServerSSH) && w.text != string(ServerAgent) {
				return nil, &SelectorError{w.at, fmt.Sprintf("a server's kind is ssh or agent, not “%s”", clip(w.text))}
			}
		}
		value = func(s *selectable) (string, bool) { return string(s.kind), true }
	}
	patterns := make([][]string, len(wanted))
	for i, w := range wanted {
		if fold {
			w.text = strings.ToLower(w.text)
		}
		patterns[i] = []string{w.text}
		if !w.quoted {
			patterns[i] = strings.Split(w.text, "*")
		}
	}
	return func(s *selectable) bool {
		v, has := value(s)
		return has && slices.ContainsFunc(patterns, func(parts []string) bool { return matchParts(v, parts) })
	}, nil
}

// env is the environment, or the tag of that name.
func (s *selectable) env() (string, bool) {
	if s.environment != "" {
		return s.environment, true
	}
	for _, key := range []string{"env", "environment"} {
		if v, has := s.tags[key]; has {
			return v, true
		}
	}
	return "", false
}

// matchParts tells whether v is the parts with anything between them.
func matchParts(v string, parts []string) bool {
	last := len(parts) - 1
	if last == 0 {
		return v == parts[0]
	}
	v, found := strings.CutPrefix(v, parts[0])
	if !found {
		return false
	}
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(v, part)
		if !found {
			return false
		}
		v = after
	}
	return strings.HasSuffix(v, parts[last])
}
