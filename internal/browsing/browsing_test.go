package browsing

import (
	"testing"

	"cronium.dev/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// walk is one way through the pages.
type walk struct {
	promise string
	do      func(*testing.T, *site)
}

// Test is all walks.
func Test(t *testing.T) {
	t.Parallel()
	binaries := build(t)
	t.Run("FirstRun", func(t *testing.T) {
		t.Parallel()
		s := start(t, binaries)
		t.Run("from the printed address to live output", func(t *testing.T) { firstRun(t, s) })
		t.Run("a run goes on when the server is killed", func(t *testing.T) { serverKilled(t, s) })
	})
	t.Run("Servers", func(t *testing.T) {
		t.Parallel()
		s := startPeopled(t, binaries)
		t.Run("a machine is tried and added over SSH, its key guards it, and its secrets are nowhere", func(t *testing.T) { serverAdded(t, s) })
		t.Run("an SSH configuration becomes servers", func(t *testing.T) { serversImported(t, s) })
		t.Run("keys are rotated while the server runs", func(t *testing.T) { keysRotated(t, s) })
	})
	t.Run("Fleet", func(t *testing.T) {
		t.Parallel()
		s := startPeopled(t, binaries)
		t.Run("an event runs on servers, is watched, and is repeated where it failed", func(t *testing.T) { fleetRun(t, s) })
	})
	t.Run("Terminals", func(t *testing.T) {
		t.Parallel()
		s := startPeopled(t, binaries)
		t.Run("files of a machine are looked at, downloaded and uploaded", func(t *testing.T) { filesMoved(t, s) })
		t.Run("shells on a machine outlive a reload and a killed server, and are recorded", func(t *testing.T) { terminalsUsed(t, s) })
	})
	t.Run("Pages", func(t *testing.T) {
		t.Parallel()
		s := startPeopled(t, binaries)
		for _, w := range []walk{
			{"a script is edited, tried, saved, compared and restored", editEvent},
			{"what was typed and not saved survives a reload", keepDraft},
			{"a schema gives a form for a run", runWithForm},
			{"a running job is cancelled", cancelRun},
			{"a failure says why", failedRun},
			{"jobs are filtered, arrive live and are cancelled together", jobsList},
			{"events are filtered and changed together", eventsList},
			{"the palette finds and runs an event", palette},
			{"a token is shown once and works", makeToken},
			{"signing out and in", signOutAndIn},
			{"a person is let in by a link, changed and removed", peopleManaged},
			{"a secret is made for an event, used by it and shown to nobody", variablesKept},
			{"an event runs by itself, and a crontab becomes events", schedulesKept},
			{"a session is ended from another browser", sessionEnded},
			{"a viewer is offered nothing but to read", viewerSees},
			{"a million lines are scrolled, searched and linked to", millionLines},
			{"the last line stays in view, whatever the page is like", lastLine},
			{"long lines are wrapped, and colours go on", wrappedLines},
			{"a page holds one connection, and none in the background", oneStream},
			{"a page whose scripts were dropped on their way loads again", scriptDropped},
			{"output is text, never markup", hostileOutput},
			{"names are text, never markup", hostileNames},
			{"an event is made and run with the keyboard alone", keyboardOnly},
			{"forms work without scripts", withoutScripts},
			{"every page is accessible in both themes and fits a phone", everyPage},
			{"errors are pages that say what to do", errorPages},
		} {
			t.Run(w.promise, func(t *testing.T) {
				t.Parallel()
				w.do(t, s)
			})
		}
	})
}
