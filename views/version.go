package views

import (
	"fmt"
	"strconv"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/diff"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

// Version is the page at /events/{id}/versions/{n}: one version, or with
// ?compare=m the difference between two, side by side.
type Version struct {
	layout.Frame
	EventHead
	Shown   cronium.EventVersion
	Compare *cronium.EventVersion // the other one, at the left; nil: none
	Numbers []int                 // other versions to compare with, the newest first
}

// setting is one line of what differs besides the files.
type setting struct{ name, before, after string }

// settings lists what a content has besides its files, in words.
func settingsOf(c *cronium.Content) []setting {
	f := FormOf(&cronium.Event{}, c)
	list := []setting{
		{name: "Runs", after: c.Entry}, {name: "Target", after: string(c.Target)}, {name: "Image", after: c.Image}, {name: "Network", after: string(c.Network)},
		{name: "Time", after: f.Timeout}, {name: "Memory", after: f.Memory + " MiB"}, {name: "Processor", after: components.Cores(c.Limits.CPUs)},
		{name: "Processes", after: f.Processes}, {name: "Work directory", after: f.Disk + " MiB"}, {name: "Output", after: f.Output + " MiB"},
		{name: "Priority", after: string(c.Priority)}, {name: "Running at once", after: f.Concurrency}, {name: "Group", after: groupWords(c.Group)}, {name: "Starts", after: startWords(c.Rate)}, {name: "Trying again", after: retryWords(c.Retry)},
		{name: "Variables of", after: c.Stage}, {name: "Input", after: f.Input}, {name: "Schema", after: f.InputSchema},
	}
	if c.On != nil {
		list = append(list, setting{name: "Servers", after: strings.Join(FleetWords(c.On, -1), " ")})
	}
	for _, v := range c.Environment {
		list = append(list, setting{name: v.Name, after: v.Value})
	}
	return list
}

// changedSettings are the settings that differ between two contents.
func changedSettings(a, b *cronium.Content) (list []setting) {
	before := map[string]string{}
	for _, s := range settingsOf(a) {
		before[s.name] = s.after
	}
	for _, s := range settingsOf(b) {
		if before[s.name] != s.after {
			list = append(list, setting{s.name, before[s.name], s.after})
		}
		delete(before, s.name)
	}
	for _, s := range settingsOf(a) {
		if _, gone := before[s.name]; gone {
			list = append(list, setting{s.name, s.after, ""})
		}
	}
	return list
}

// fileChange is one file in two versions.
type fileChange struct {
	name, what        string // what: "", "added", "removed"
	deleted, inserted int
	rows              []diffRow
}

// diffRow is one line of a comparison: what was at the left, what is at the
// right. A row without numbers stands for equal lines that are left out.
type diffRow struct {
	left, right         string
	leftText, rightText string
	class               string // "", "changed", "deleted", "inserted", "skipped"
}

func changedFiles(a, b *cronium.Content) (list []fileChange) {
	content := func(c *cronium.Content, name string) (string, bool) {
		for _, f := range c.Files {
			if f.Name == name {
				return f.Content, true
			}
		}
		return "", false
	}
	var names []string
	for _, f := range b.Files {
		names = append(names, f.Name)
	}
	for _, f := range a.Files {
		if _, there := content(b, f.Name); !there {
			names = append(names, f.Name)
		}
	}
	for _, name := range names {
		before, was := content(a, name)
		after, is := content(b, name)
		if was && is && before == after {
			continue
		}
		ops := diff.Lines(before, after)
		change := fileChange{name: name, rows: sideBySide(diff.Near(ops, 3))}
		change.deleted, change.inserted = diff.Changed(ops)
		if !was {
			change.what = "added"
		} else if !is {
			change.what = "removed"
		}
		list = append(list, change)
	}
	return list
}

// sideBySide puts the lines that were deleted beside those that took their
// place.
func sideBySide(ops []diff.Op) (rows []diffRow) {
	for i := 0; i < len(ops); {
		if ops[i].Kind == diff.Equal {
			rows = append(rows, equalRow(ops[i]))
			i++
			continue
		}
		var deleted, inserted []diff.Op
		for ; i < len(ops) && ops[i].Kind != diff.Equal; i++ {
			if ops[i].Kind == diff.Delete {
				deleted = append(deleted, ops[i])
			} else {
				inserted = append(inserted, ops[i])
			}
		}
		for n := range max(len(deleted), len(inserted)) {
			row := diffRow{class: "changed"}
			if n < len(deleted) {
				row.left, row.leftText = strconv.Itoa(deleted[n].A), line(deleted[n].Text)
			} else {
				row.class = "inserted"
			}
			if n < len(inserted) {
				row.right, row.rightText = strconv.Itoa(inserted[n].B), line(inserted[n].Text)
			} else {
				row.class = "deleted"
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func equalRow(op diff.Op) diffRow {
	if op.A == 0 && op.B == 0 {
		return diffRow{class: "skipped"}
	}
	return diffRow{left: strconv.Itoa(op.A), right: strconv.Itoa(op.B), leftText: line(op.Text), rightText: line(op.Text)}
}

func line(text string) string { return strings.TrimSuffix(text, "\n") }

// parts splits a changed line into what it has in common with the other at its
// beginning and end, and the middle that differs.
func parts(text, other string) (start, middle, end string) {
	a, b := []rune(text), []rune(other)
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	m := 0
	for m < len(a)-n && m < len(b)-n && a[len(a)-1-m] == b[len(b)-1-m] {
		m++
	}
	return string(a[:n]), string(a[n : len(a)-m]), string(a[len(a)-m:])
}

func groupWords(g *cronium.Group) string {
	if g == nil {
		return "none"
	}
	return fmt.Sprintf("%d at once of %s", g.Limit, g.Key)
}

func startWords(r cronium.Rate) string {
	if r.Count == 0 {
		return "no limit"
	}
	return rateWords(r)
}
