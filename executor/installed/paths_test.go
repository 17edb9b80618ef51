package installed_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

// frontEnd is a reverse proxy that ends TLS with a certificate of its own.
func frontEnd(t *testing.T, p *process) *httptest.Server {
	t.Helper()
	to, err := url.Parse(p.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(to))
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front
}

// connectProxy is an HTTP proxy that takes CONNECT alone and leads every name to
// one address.
func connectProxy(t *testing.T, to string) (address string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	var open sync.WaitGroup
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || !strings.HasPrefix(r.Host, "cronium.test:") {
			http.Error(w, "CONNECT alone", http.StatusMethodNotAllowed)
			return
		}
		asked.Add(1)
		server, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		client, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			server.Close()
			return
		}
		io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
		for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
			open.Go(func() {
				defer way[0].Close()
				defer way[1].Close()
				io.Copy(way[0], way[1])
			})
		}
	}))
	t.Cleanup(func() { proxy.Close(); open.Wait() })
	return proxy.URL, asked
}

func TestThroughFrontEndAndProxies(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	front := frontEnd(t, p)
	secure, askedSecure := connectProxy(t, front.Listener.Addr().String())
	plain, askedPlain := connectProxy(t, p.server.Listener.Addr().String())
	for name, way := range map[string]struct {
		url   string
		env   string
		asked *atomic.Int64
	}{
		"a front end with its own certificate":  {url: front.URL},
		"a proxy, then such a front end":        {url: "https://cronium.test", env: "HTTPS_PROXY=" + secure, asked: askedSecure},
		"a proxy that takes CONNECT, then HTTP": {url: "http://cronium.test", env: "HTTP_PROXY=" + plain, asked: askedPlain},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.env = append(m.env, way.env)
			if said, err := m.join(way.url, h.code(t).String()); err != nil {
				t.Fatalf("join: %v: %s", err, said)
			}
			m.server = h.serverOf(t, m)
			m.start()
			p.waitFor(t, m.server)
			if way.asked != nil && way.asked.Load() != 2 {
				t.Errorf("the proxy was asked %d times", way.asked.Load())
			}
			m.kill()
		})
	}
}

// order is a script for a server, and where it runs.
func (h *hub) order(t *testing.T, p *process, m *machine, script string) (executor.Place, executor.Run) {
	t.Helper()
	spec := executor.Spec{ExecutionID: cronium.NewID(), ServerID: m.server, Limits: cronium.DefaultLimits()}
	place, err := p.Create(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := conformance.Bash(script).Run(h.key)
	run.ExecutionID = spec.ExecutionID
	return place, run
}

// drive drives an execution until the context ends, beside the test.
func drive(ctx context.Context, place executor.Place, run executor.Run, sink executor.Sink) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := executor.Drive(ctx, place, run, sink)
		done <- err
	}()
	return done
}

func TestScriptGoesOnWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.registry = allOpen{h.store}
	first := h.process(t, "")
	m := h.install(t, first)
	place, run := h.order(t, first, m, "echo ready; while [ ! -e go ]; do sleep 0.05; done; echo more; exit 5")
	sink := conformance.NewRecorder(t)
	ctx, die := context.WithCancel(conformance.Context(t))
	done := drive(ctx, place, run, sink)
	sink.Wait(ctx, "ready\n")
	address := first.server.Listener.Addr().String()
	die()
	<-done
	first.stop()
	second := h.process(t, address)
	second.waitFor(t, m.server)
	found, err := second.Find(t.Context(), place.Ref())
	if err != nil {
		t.Fatalf("find: %v", err)
	}
	touch(t, m, run.ExecutionID)
	run.From, run.Started = sink.Offset(), true
	finish, err := executor.Drive(conformance.Context(t), found, run, sink)
	conformance.Result{Finish: finish, Err: err, Sink: sink}.Exited(t, 5)
	if sink.Stdout() != "ready\nmore\n" {
		t.Errorf("it said %q", sink.Stdout())
	}
}

func TestAgentMovesToAnotherProcess(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.registry = allOpen{h.store}
	one, two := h.process(t, ""), h.process(t, "")
	g := newGate(t, one.server.Listener.Addr().String())
	m := h.installBehind(t, one, g)
	place, run := h.order(t, one, m, "echo ready; while [ ! -e go ]; do sleep 0.05; done; exit 4")
	sink := conformance.NewRecorder(t)
	ctx, leave := context.WithCancel(conformance.Context(t))
	done := drive(ctx, place, run, sink)
	sink.Wait(ctx, "ready\n")
	g.lead(two.server.Listener.Addr().String())
	two.waitFor(t, m.server)
	eventually(t, "the first process has let go", func() bool { return !one.Holds(m.server) })
	eventually(t, "the database names the second process", func() bool {
		return h.count(t, "server_states WHERE state = 'ONLINE' AND holder = '"+two.id.String()+"'") == 1
	})
	if _, err := one.Find(t.Context(), place.Ref()); !isUnavailable(err) {
		t.Errorf("find in the first process: %v, want ErrUnavailable", err)
	}
	leave()
	<-done
	found, err := two.Find(t.Context(), place.Ref())
	if err != nil {
		t.Fatalf("find in the second process: %v", err)
	}
	touch(t, m, run.ExecutionID)
	run.From, run.Started = sink.Offset(), true
	finish, err := executor.Drive(conformance.Context(t), found, run, sink)
	conformance.Result{Finish: finish, Err: err, Sink: sink}.Exited(t, 4)
}

func TestWhatEndedWithoutTheAgentIsRemovedWhenItComesBack(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.registry = allOpen{h.store}
	p := h.process(t, "")
	g := newGate(t, p.server.Listener.Addr().String())
	m := h.installBehind(t, p, g)
	place, run := h.order(t, p, m, "echo ready; sleep 600")
	sink := conformance.NewRecorder(t)
	ctx, leave := context.WithCancel(conformance.Context(t))
	done := drive(ctx, place, run, sink)
	sink.Wait(ctx, "ready\n")
	leave()
	<-done
	p.stop()
	h.registry = h.store // which knows nothing of the execution
	next := h.process(t, "")
	g.lead(next.server.Listener.Addr().String())
	next.waitFor(t, m.server)
	eventually(t, "nothing is left of it", func() bool { return len(folders(t, m)) == 0 })
}

func TestAgentThatIsGoneMakesItsServerOffline(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	here, gone := h.install(t, p), h.install(t, p)
	eventually(t, "both are noted", func() bool { return h.count(t, "server_states WHERE holder IS NOT NULL") == 2 })
	gone.kill()
	eventually(t, "the end is noted", func() bool { return h.count(t, "server_states WHERE holder IS NULL") == 1 })
	if workspaces, err := h.store.OfflineAgents(t.Context()); len(workspaces) > 0 || err != nil {
		t.Errorf("it is offline at once: %v, %v", workspaces, err)
	}
	// A quarter of a minute passes.
	if _, err := h.store.WorkerPool().Exec(t.Context(), `UPDATE server_states SET seen_at = seen_at - interval '13 seconds'`); err != nil {
		t.Fatal(err)
	}
	workspaces, err := h.store.OfflineAgents(t.Context())
	if err != nil || len(workspaces) != 1 || workspaces[0] != h.workspace {
		t.Errorf("offline in %v, %v", workspaces, err)
	}
	for m, state := range map[*machine]string{here: "ONLINE", gone: "OFFLINE"} {
		if h.count(t, "server_states WHERE server_id = '"+m.server.String()+"' AND state = '"+state+"'") != 1 {
			t.Errorf("the server is not %s", state)
		}
	}
	gone.start()
	p.waitFor(t, gone.server)
	eventually(t, "it is back", func() bool { return h.count(t, "server_states WHERE state = 'ONLINE'") == 2 })
}
