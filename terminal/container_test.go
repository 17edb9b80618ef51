package terminal

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/container"
	"cronium.dev/store"
)

// withContainers gives the desk an engine, and an event whose image has a shell.
func (d *desk) withContainers() (event *cronium.Event, content cronium.Content) {
	d.Helper()
	agent, err := conformance.Agent(d.TempDir())
	if err != nil {
		d.Fatal(err)
	}
	backend, err := container.New(container.Config{
		Instance: "terminal-" + cronium.NewID().String(), Process: d.process.String(), Image: "cronium-runtime:latest", Agent: agent,
		Key: d.service.Key.Public().(ed25519.PublicKey), Log: slog.New(slog.NewTextHandler(d.Output(), nil)),
	})
	if err != nil {
		d.Fatal(err)
	}
	d.service.Containers = backend
	content = cronium.NewContent(cronium.EventBash)
	content.Files = append(content.Files, cronium.File{Name: "lib/deep/data.txt", Content: strings.Repeat("0123456789", 60_000)})
	content.Environment = []cronium.Variable{{Name: "ENDPOINT", Value: "https://partner.example"}}
	event = &cronium.Event{Name: "Invoices", Type: cronium.EventBash, Status: cronium.EventActive}
	if err := d.store.CreateEvent(d.Context(), d.workspace, event, content, "", store.Author{ID: cronium.NewID(), Name: "Ada"}); err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { d.sweep(backend, func(string) bool { return false }) })
	return event, content
}

// sweep removes containers as the sweep of a server process does after its death.
func (d *desk) sweep(backend *container.Backend, open func(string) bool) int {
	d.Helper()
	n, err := backend.Sweep(context.WithoutCancel(d.Context()), func(string) bool { return false }, open)
	if err != nil {
		d.Error(err)
	}
	return n
}

func (d *desk) openIn(event *cronium.Event) *cronium.Terminal {
	d.Helper()
	t := &cronium.Terminal{
		ID: cronium.NewID(), WorkspaceID: d.workspace, EventID: &event.ID, Target: event.Name, UserID: cronium.NewID(), UserName: "Ada", Width: 90, Height: 30,
	}
	if err := d.store.CreateTerminal(d.Context(), t); err != nil {
		d.Fatal(err)
	}
	return t
}

// there tells whether the terminal's container is.
func (d *desk) there(t *cronium.Terminal) bool {
	d.Helper()
	_, err := d.service.Containers.Find(d.Context(), d.again(t).TargetRef)
	return err == nil
}

func TestATerminalOfAnEventIsAContainerAsForARun(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	event, content := d.withContainers()
	terminal := d.openIn(event)
	b := d.attach(terminal)
	b.kind("echo at $ENDPOINT as $(id -u); wc -c lib/deep/data.txt; head -1 " + content.Entry + "; grep -c CapEff:.*0000000000000000 /proc/self/status | sed s/^/caps-dropped-/; touch /etc/x; env | grep -ci secret | sed s/^/secrets-/\n")
	d.eventually("the shell is that of the event", func() bool {
		return b.shows("at https://partner.example as 65532") && b.shows("600000 lib/deep/data.txt") && b.shows("caps-dropped-1") && b.shows("Read-only file system") && b.shows("secrets-0")
	})
	b.kind("kept=here; echo kept | tr a-z A-Z\n")
	d.eventually("it has taken it", func() bool { return b.shows("KEPT") })
	b.cut()
	<-b.ended

	// Another process finds the container again.
	second := d.attach(d.again(terminal))
	second.kind("echo it is $kept\n")
	d.eventually("the same shell answers", func() bool { return second.shows("it is here") })
	second.kind("exit 5\n")
	if err := <-second.ended; err != nil || second.end != "The shell ended with exit code 5." {
		t.Errorf("it ended with %q, %v", second.end, err)
	}
	if found := d.again(terminal); found.EndedAt == nil || d.there(found) {
		t.Errorf("after the shell: ended at %v, its container is there: %t", found.EndedAt, d.there(found))
	}
}

// A server that dies leaves the container to whoever comes back, and the sweep of
// another to remove it once nobody has.
func TestTheContainerOfATerminalIsKeptWhileSomebodyMayComeBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	event, _ := d.withContainers()
	terminal := d.openIn(event)
	b := d.attach(terminal)
	d.eventually("the shell is there", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.opened != nil })
	b.cut()
	<-b.ended
	backend := d.service.Containers.(*container.Backend)
	open := func(name string) bool {
		refs, err := d.store.OpenRefs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for ref := range refs {
			if executor.PlaceName(ref) == name {
				return true
			}
		}
		return false
	}
	if n := d.sweep(backend, open); n != 0 || !d.there(terminal) {
		t.Fatalf("the sweep removed %d containers of a terminal that is open", n)
	}
	d.exec(`UPDATE terminals SET seen_at = now() - interval '7 minutes' WHERE id = $1`, terminal.ID)
	if err := d.service.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := d.sweep(backend, open); n != 1 || d.there(terminal) {
		t.Errorf("after its time, %d containers were removed", n)
	}
}

func TestATerminalWhoseContainerIsGoneHasEnded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	event, _ := d.withContainers()
	terminal := d.openIn(event)
	b := d.attach(terminal)
	d.eventually("the shell is there", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.opened != nil })
	d.sweep(d.service.Containers.(*container.Backend), func(string) bool { return false })
	if err := <-b.ended; cronium.CodeOf(err) != cronium.CodeUnavailable {
		t.Errorf("who was connected hears %v", err)
	}
	again := d.attach(d.again(terminal))
	if err := <-again.ended; cronium.CodeOf(err) != cronium.CodeConflict || !strings.Contains(err.Error(), "container is gone") {
		t.Errorf("who comes back hears %v", err)
	}
	if found := d.again(terminal); found.EndedAt == nil {
		t.Error("the terminal is still open")
	}
}

// Two connections that come at once share one container.
func TestATerminalHasOneContainer(t *testing.T) {
	t.Parallel()
	d := newDesk(t, 0)
	event, _ := d.withContainers()
	terminal := d.openIn(event)
	one, two := *terminal, *terminal
	first, second := d.attach(&one), d.attach(&two)
	d.eventually("one of them goes on", func() bool {
		for _, b := range []*browser{first, second} {
			select {
			case b.typed <- Message{Data: []byte("echo x | tr x y; exit\n")}:
			case <-time.After(10 * time.Millisecond):
			}
		}
		return d.again(terminal).EndedAt != nil
	})
	first.cut()
	second.cut()
	<-first.ended
	<-second.ended
	if n := d.sweep(d.service.Containers.(*container.Backend), func(string) bool { return false }); n != 0 {
		t.Errorf("%d containers were left", n)
	}
}
