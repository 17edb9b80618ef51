package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Action is what becomes of one thing.
type Action string

// The actions. KEPT: it is not among the documents and stays, because nobody
// asked for it to be removed.
const (
	Add    Action = "ADD"
	Modify Action = "CHANGE"
	Remove Action = "REMOVE"
	Same   Action = "SAME"
	Kept   Action = "KEPT"
)

// Change is what would become of one thing.
type Change struct {
	Action Action        `json:"action" enum:"ADD,CHANGE,REMOVE,SAME,KEPT"`
	Kind   string        `json:"kind"`
	Name   string        `json:"name"`
	Fields []FieldChange `json:"fields,omitempty" doc:"With CHANGE: what differs"`
}

// FieldChange is one value that differs.
type FieldChange struct {
	Path   string `json:"path" doc:"Like content.limits.timeout_seconds"`
	Before string `json:"before,omitempty" doc:"As JSON, cut after 200 characters; empty: it was not there"`
	After  string `json:"after,omitempty" doc:"As JSON, cut after 200 characters; empty: it goes"`
}

// Compare says what the documents would change. All of both are complete: what a
// document leaves out has its default filled in before. prune removes what is not
// among the documents.
func Compare(now, wanted []Document, prune bool) ([]Change, error) {
	have := map[string]Document{}
	for _, d := range now {
		have[d.ID()] = d
	}
	var changes []Change
	for _, d := range wanted {
		old, ok := have[d.ID()]
		delete(have, d.ID())
		if !ok {
			changes = append(changes, Change{Action: Add, Kind: d.Kind, Name: d.Name})
			continue
		}
		fields, err := differences(old.Fields, d.Fields)
		if err != nil {
			return nil, fmt.Errorf("compare %s: %w", d.ID(), err)
		}
		change := Change{Action: Same, Kind: d.Kind, Name: d.Name, Fields: fields}
		if len(fields) > 0 {
			change.Action = Modify
		}
		changes = append(changes, change)
	}
	for _, id := range slices.Sorted(maps.Keys(have)) {
		action := Kept
		if prune {
			action = Remove
		}
		changes = append(changes, Change{Action: action, Kind: have[id].Kind, Name: have[id].Name})
	}
	return changes, nil
}

// differences are the values in which two JSON objects differ.
func differences(before, after json.RawMessage) ([]FieldChange, error) {
	var a, b any
	if err := decode(before, &a); err != nil {
		return nil, err
	}
	if err := decode(after, &b); err != nil {
		return nil, err
	}
	var changes []FieldChange
	walk("", a, b, &changes)
	return changes, nil
}

// decode keeps numbers as they are written.
func decode(text json.RawMessage, into *any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

func walk(path string, a, b any, changes *[]FieldChange) {
	x, isObject := a.(map[string]any)
	y, both := b.(map[string]any)
	if isObject && both {
		for _, name := range slices.Sorted(maps.Keys(union(x, y))) {
			walk(strings.TrimPrefix(path+"."+name, "."), x[name], y[name], changes)
		}
		return
	}
	if list, ok := a.([]any); ok {
		if other, ok := b.([]any); ok {
			walkLists(path, list, other, changes)
			return
		}
	}
	before, after := shown(a), shown(b)
	if before != after || whole(a) != whole(b) {
		*changes = append(*changes, FieldChange{Path: path, Before: before, After: after})
	}
}

// walkLists compares entries that have a name by their names, others by their
// place.
func walkLists(path string, a, b []any, changes *[]FieldChange) {
	names, other := named(a), named(b)
	if names != nil && other != nil {
		for _, name := range slices.Sorted(maps.Keys(union(names, other))) {
			walk(fmt.Sprintf("%s[%s]", path, name), names[name], other[name], changes)
		}
		return
	}
	for i := range max(len(a), len(b)) {
		var x, y any
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		walk(fmt.Sprintf("%s[%d]", path, i), x, y, changes)
	}
}

// named are the entries of a list by their names; nil where one has none.
func named(list []any) map[string]any {
	names := map[string]any{}
	for _, entry := range list {
		object, _ := entry.(map[string]any)
		name, _ := object["name"].(string)
		if name == "" || names[name] != nil {
			return nil
		}
		names[name] = entry
	}
	return names
}

func union(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// whole is a value as JSON; "" for none.
func whole(v any) string {
	if v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// shown is whole, cut.
func shown(v any) string {
	text := []rune(whole(v))
	if len(text) > 200 {
		return string(text[:200]) + "…"
	}
	return string(text)
}
