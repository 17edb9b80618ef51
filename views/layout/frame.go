// Package layout is the frame around every page: the navigation, the top bar
// with the path and the search, notices that every page shows, and the plain
// sheet of the pages for people who are not signed in.
//
// A page is a struct that embeds Frame and has a method Page. The handler fills
// both. Only what is built and what the role may do is shown.
package layout

import (
	"cronium.dev/cronium"
	"cronium.dev/static"
)

// Frame is what every page needs besides its own content.
type Frame struct {
	Title     string             // of the document, without "Cronium"
	Nav       Nav                // the part that the page belongs to
	Path      []Crumb            // above Title, from the outermost
	Theme     string             // the cookie "theme": "light", "dark"; anything else follows the system
	Principal *cronium.Principal // nil: not signed in
	Events    int                // shown in the navigation; 0 = none
	OpenJobs  int                // shown in the navigation; 0 = none
	Notices   []Notice           // shown on every page: what must not be forgotten
	Said      string             // what just happened: "Version 15 is saved."
	Modules   []string           // scripts of this page alone: "js/log.js"
	Styles    []string           // style sheets of this page alone: "vendor/ace/css/ace.css"
	Live      string             // what the page shows that changes: "/live?topics=jobs"; "" = nothing
	Assets    *static.Files
}

// Nav is one part of the navigation.
type Nav string

// The parts that are built.
const (
	NavHome     Nav = "home"
	NavEvents   Nav = "events"
	NavJobs     Nav = "jobs"
	NavSchedule Nav = "schedule"
	NavServers  Nav = "servers"

	NavVariables Nav = "variables"
	NavWebhooks  Nav = "webhooks"
	NavPeople    Nav = "people"
	NavSettings  Nav = "settings"
)

// Crumb is one step of the path in the top bar.
type Crumb struct {
	Label, URL string
}

// Notice is a sentence that every page shows.
type Notice struct {
	Class, Icon string // "is-warning", "alert"
	Text        string
	URL, Link   string // where to do something about it; may be empty
}

// Can tells whether the person may do something.
func (f Frame) Can(p cronium.Permission) bool { return f.Principal.Can(p) }

// theme is the cookie's value if it is one of ours.
func (f Frame) theme() string {
	if f.Theme == "light" || f.Theme == "dark" {
		return f.Theme
	}
	return ""
}

type navLink struct {
	nav         Nav
	url, label  string
	icon        string
	count       int
	countedNoun string
}

func (f Frame) links() []navLink {
	links := []navLink{
		{nav: NavHome, url: "/", label: "Home", icon: "home"},
		{nav: NavEvents, url: "/events", label: "Events", icon: "events", count: f.Events, countedNoun: "events"},
		{nav: NavJobs, url: "/jobs", label: "Jobs", icon: "jobs", count: f.OpenJobs, countedNoun: "not finished"},
		{nav: NavSchedule, url: "/schedule", label: "Schedule", icon: "calendar"},
		{nav: NavServers, url: "/servers", label: "Servers", icon: "server"},
		{nav: NavVariables, url: "/variables", label: "Variables", icon: "key"},
		{nav: NavWebhooks, url: "/webhooks", label: "Webhooks", icon: "link"},
	}
	if f.Can(cronium.PermissionPeople) {
		links = append(links, navLink{nav: NavPeople, url: "/people", label: "People", icon: "person"})
	}
	return append(links, navLink{nav: NavSettings, url: "/settings", label: "Settings", icon: "settings"})
}

const htmxConfig = `{"includeIndicatorCSS":false,"history":"reload"}`
