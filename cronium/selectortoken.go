package cronium

import (
	"fmt"
	"strings"
	"unicode"
)

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenOpen
	tokenClose
	tokenComma
	tokenEqual
	tokenUnequal
)

// selectorToken is one piece of a selector.
type selectorToken struct {
	kind   tokenKind
	text   string
	at     int // character, from 1
	quoted bool
}

// is tells whether the token is the keyword.
func (t selectorToken) is(keyword string) bool {
	return t.kind == tokenWord && !t.quoted && strings.EqualFold(t.text, keyword)
}

func (t selectorToken) keyword() bool {
	return t.is("and") || t.is("or") || t.is("not") || t.is("in")
}

func (t selectorToken) unexpected(wanted string) *SelectorError {
	if t.kind == tokenEnd {
		return &SelectorError{t.at, fmt.Sprintf("the selector ends here; expected is %s", wanted)}
	}
	return &SelectorError{t.at, fmt.Sprintf("“%s” is not expected here; it can be %s", clip(t.text), wanted)}
}

// scan splits the text into tokens, of which the last is tokenEnd.
func (p *selectorParser) scan(text string) error {
	runes := []rune(text)
	for i := 0; i < len(runes); {
		token := selectorToken{text: string(runes[i]), at: i + 1}
		length := 1
		switch r := runes[i]; {
		case unicode.IsSpace(r):
			i++
			continue
		case r == '(':
			token.kind = tokenOpen
		case r == ')':
			token.kind = tokenClose
		case r == ',':
			token.kind = tokenComma
		case r == '=':
			token.kind = tokenEqual
		case r == '!' && i+1 < len(runes) && runes[i+1] == '=':
			token.kind, token.text, length = tokenUnequal, "!=", 2
		case r == '"' || r == '\'':
			end := i + 1
			for end < len(runes) && runes[end] != r {
				end++
			}
			if end == len(runes) {
				return &SelectorError{i + 1, "the quote has no end"}
			}
			token.kind, token.text, token.quoted, length = tokenWord, string(runes[i+1:end]), true, end+1-i
		case wordRune(r):
			end := i
			for end < len(runes) && wordRune(runes[end]) {
				end++
			}
			token.kind, token.text, length = tokenWord, string(runes[i:end]), end-i
		default:
			return &SelectorError{i + 1, fmt.Sprintf("“%c” is not expected here; put values with other than letters, digits and . _ - / : @ * in quotes", r)}
		}
		p.tokens = append(p.tokens, token)
		i += length
	}
	p.tokens = append(p.tokens, selectorToken{kind: tokenEnd, at: len(runes) + 1})
	return nil
}

func wordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-/:@*+", r)
}
