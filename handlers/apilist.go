package handlers

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/cronium"
)

// ListInput is what every list takes.
type ListInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Most entries in one answer"`
	Cursor string `query:"cursor" doc:"The next of an earlier answer"`
	url    url.URL
}

// Resolve notes the address that was asked for, for the link to the next page.
func (l *ListInput) Resolve(ctx huma.Context) []error {
	l.url = ctx.URL()
	return nil
}

// ListHead is the header of every list.
type ListHead struct {
	Link string `header:"Link" doc:"The next page, rel=next"`
}

// encodeCursor writes where the next page begins. Clients pass it on unread.
func encodeCursor(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// decodeCursor reads a cursor into v; an empty one leaves v alone.
func decodeCursor(cursor string, v any) (given bool, err error) {
	if cursor == "" {
		return false, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		var problems cronium.Problems
		problems.Add(false, "cursor", "must be the next of an earlier answer, unchanged")
		return false, problems.Err("The request")
	}
	return true, nil
}

// nextLink is the header Link to the next page of the list.
func (l *ListInput) nextLink(next string) string {
	if next == "" {
		return ""
	}
	query := l.url.Query()
	query.Set("cursor", next)
	return "<" + (&url.URL{Path: l.url.Path, RawQuery: query.Encode()}).String() + `>; rel="next"`
}

// words reads a list of words of which each must be known.
func words[T ~string](list, field string, known []T) ([]T, error) {
	if list == "" {
		return nil, nil
	}
	var all []T
	var problems cronium.Problems
	for word := range strings.SplitSeq(list, ",") {
		found := false
		for _, k := range known {
			found = found || string(k) == word
		}
		problems.Add(found, field, "%q is not known; it takes one or more of %s with commas between", word, commas(known))
		all = append(all, T(word))
	}
	return all, problems.Err("The request")
}

func commas[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}
