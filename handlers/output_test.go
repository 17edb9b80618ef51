package handlers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"cronium.dev/cronium"
	"cronium.dev/handlers"
	"cronium.dev/live"
	"cronium.dev/store"
)

func out(text string) cronium.Chunk { return cronium.Chunk{Stream: cronium.Stdout, Data: []byte(text)} }

func (r *fakeRun) print(t *testing.T, chunks ...cronium.Chunk) {
	t.Helper()
	for _, c := range chunks {
		var err error
		if r.stored, err = r.store.AppendOutput(context.WithoutCancel(t.Context()), r.execution, r.process, r.stored, []cronium.Chunk{c}); err != nil {
			t.Fatal(err)
		}
		r.Hub.Publish(live.OutputTopic(r.execution))
	}
}

func (r *fakeRun) end(t *testing.T) {
	t.Helper()
	r.finish(t, cronium.ExecutionSuccess)
}

func (r *fakeRun) finish(t *testing.T, status cronium.ExecutionStatus) {
	t.Helper()
	done := store.Finish{ExecutionID: r.execution, JobID: r.job, Owner: r.process, Status: status}
	if _, err := r.store.Finish(context.WithoutCancel(t.Context()), done, func(context.Context, pgx.Tx, cronium.Job, time.Time) error { return nil }); err != nil {
		t.Fatal(err)
	}
	r.Hub.Publish(live.JobTopic(r.job), live.JobsTopic(r.home))
}

func TestOutputIsReadByLinesFromEitherEnd(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	r := s.running(t, out("a\nb\n"), cronium.Chunk{Stream: cronium.Stderr, Data: []byte("err\xff\x00\nc")})
	b := s.program(t, cronium.ScopeRead)
	type page struct {
		Lines []struct {
			N            int
			Stream, Text string
			Partial      bool
		}
		NextLine   int `json:"next_line"`
		TotalLines int `json:"total_lines"`
		Done       bool
	}
	p := read[page](t, b.call("GET", r.path()+"/output?from_line=1&limit=2", nil), 200)
	if len(p.Lines) != 2 || p.Lines[1].Text != "err\ufffd␀" || p.Lines[1].Stream != "stderr" || p.NextLine != 3 || p.TotalLines != 4 || p.Done {
		t.Errorf("%+v", p)
	}
	p = read[page](t, b.call("GET", r.path()+"/output?from_line=-2", nil), 200)
	if len(p.Lines) != 2 || p.Lines[0].N != 2 || !p.Lines[1].Partial || p.NextLine != 3 {
		t.Errorf("%+v", p)
	}
	p = read[page](t, b.call("GET", r.path()+"/output?from_line=99", nil), 200)
	if len(p.Lines) != 0 || p.Lines == nil || p.TotalLines != 4 {
		t.Errorf("%+v", p)
	}
	b.call("GET", r.path()+"/output/search?q=ERR", nil).want(t, 200, `"lines":[2]`, `"total":1`, `"more":false`)
	b.call("GET", r.path()+"/output/search?q=ERR&match_case=true", nil).want(t, 200, `"lines":[]`)
	if got := fields(t, b.call("GET", r.path()+"/output/search", nil), 422); !slices.Equal(got, []string{"q"}) {
		t.Errorf("%v", got)
	}
	r.end(t)
	if p = read[page](t, b.call("GET", r.path()+"/output?from_line=3", nil), 200); !p.Done || p.Lines[0].Partial || p.NextLine != 4 {
		t.Errorf("%+v", p)
	}
	b.call("GET", r.path(), nil).want(t, 200, `"SUCCESS"`, `"output_bytes":11`)
	b.call("GET", "/jobs/"+r.job.String()+"/executions", nil).want(t, 200, r.execution.String())
}

func TestExecutionsAreListedInPages(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	r := s.running(t)
	b := s.program(t, cronium.ScopeRead)
	want := []string{r.execution.String()}
	for attempt := 2; attempt <= 5; attempt++ {
		id := cronium.NewID()
		want = append(want, id.String())
		s.exec(t, `INSERT INTO executions (id, workspace_id, job_id, attempt, target, status) VALUES ($1, $2, $3, $4, 'container', 'LOST')`, id, s.home, r.job, attempt)
	}
	var got []string
	for path := "/jobs/" + r.job.String() + "/executions?limit=2"; path != ""; {
		answer := b.call("GET", path, nil)
		page := read[struct {
			Executions []struct{ ID string }
			Next       string
		}](t, answer, http.StatusOK)
		for _, e := range page.Executions {
			got = append(got, e.ID)
		}
		if path = ""; page.Next != "" {
			path = "/jobs/" + r.job.String() + "/executions?limit=2&cursor=" + page.Next
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	jobs := read[struct{ Jobs []struct{ ID string } }](t, b.call("GET", "/jobs?id="+r.job.String()[:23], nil), http.StatusOK).Jobs
	if len(jobs) != 1 || jobs[0].ID != r.job.String() {
		t.Errorf("%v", jobs)
	}
	b.call("GET", "/jobs?id=0199z3", nil).want(t, http.StatusUnprocessableEntity, `"id"`)
}

func TestADownloadIsExactAndNeverAPage(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	var all, errs []byte
	r := s.running(t)
	for i := range 300 {
		data := []byte(fmt.Sprintf("<script>alert(%d)</script>\x00\xff\r\n%s", i, strings.Repeat("z", 2000)))
		stream := cronium.Stream(1 + i%2)
		r.print(t, cronium.Chunk{Stream: stream, Data: data})
		all = append(all, data...)
		if stream == cronium.Stderr {
			errs = append(errs, data...)
		}
	}
	b := s.signedIn(t, "mira@example.com")
	for _, a := range []answer{
		b.call("GET", r.path()+"/output?download=1", nil), b.call("GET", r.path()+"/output", nil, "Accept", "text/plain"),
	} {
		if a.text != string(all) || a.StatusCode != 200 {
			t.Errorf("%s: %d bytes, want %d", a.Status, len(a.text), len(all))
		}
		for name, want := range map[string]string{
			"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
			"Content-Disposition": `attachment; filename="cronium-` + r.execution.String() + `.log"`,
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	if a := b.call("GET", r.path()+"/output?download=1&stream=stderr", nil); a.text != string(errs) {
		t.Errorf("stderr: %d bytes, want %d", len(a.text), len(errs))
	}
	b.call("GET", r.path()+"/output?stream=x", nil).want(t, 422, "stream")
}

// event is one server-sent event.
type event struct{ id, name, data string }

// stream reads events from an open connection.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

func (b *browser) open(path string, headers ...string) *stream {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.site.server.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header = b.header.Clone()
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Content-Encoding") != "" {
		b.t.Fatalf("%s: %s %v", path, res.Status, res.Header)
	}
	scanner := bufio.NewScanner(res.Body)
	scanner.Buffer(nil, 4<<20)
	s := &stream{b.t, scanner, func() { cancel(); res.Body.Close() }}
	b.t.Cleanup(s.close)
	return s
}

// next reads one event; none when the stream has ended.
func (s *stream) next() (event, bool) {
	var e event
	var data []string
	for s.lines.Scan() {
		field, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch {
		case s.lines.Text() == "" && (e.name != "" || data != nil):
			e.data = strings.Join(data, "\n")
			return e, true
		case field == "id":
			e.id = value
		case field == "event":
			e.name = value
		case field == "data":
			data = append(data, value)
		}
	}
	return e, false
}

// text is what the records of an output event say.
func (e event) text(t *testing.T) string {
	t.Helper()
	var piece struct{ Records []struct{ Text string } }
	if err := json.Unmarshal([]byte(e.data), &piece); err != nil {
		t.Fatalf("%q: %v", e.data, err)
	}
	var b strings.Builder
	for _, r := range piece.Records {
		b.WriteString(r.Text)
	}
	return b.String()
}

func TestOutputIsFollowedFromWhereABrowserWasCutOff(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeRead)
	rapid.Check(t, func(rt *rapid.T) {
		r := s.running(t)
		all := rapid.StringOfN(rapid.SampledFrom([]rune("ab\ré\n🙂")), 1, 40, -1).Draw(rt, "output")
		size := rapid.IntRange(1, 7).Draw(rt, "size of chunks")
		cutAfter := rapid.IntRange(1, 3).Draw(rt, "events seen until cut off")
		written := make(chan struct{})
		go func() {
			defer close(written)
			for chunk := range slices.Chunk([]byte(all), size) {
				r.print(t, cronium.Chunk{Stream: cronium.Stdout, Data: chunk})
			}
			r.end(t)
		}()
		var got strings.Builder
		last, ended := "", false
		for !ended {
			headers := []string{}
			if last != "" {
				headers = []string{"Last-Event-ID", last}
			}
			events := b.open("/api/v1"+r.path()+"/output/stream", headers...)
			for range cutAfter {
				e, ok := events.next()
				if !ok {
					t.Fatal("the stream ended by itself")
				}
				if ended = e.name == "end"; ended {
					break
				}
				got.WriteString(e.text(t))
				last = e.id
			}
			events.close()
		}
		<-written
		if got.String() != all {
			t.Fatalf("followed %q, want %q", got.String(), all)
		}
	})
}

func TestFollowingBeginsAtALineAndTellsTheEnd(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	r := s.running(t, out("one\ntwo\nthree"))
	events := b.open("/api/v1" + r.path() + "/output/stream?from_line=1")
	e, _ := events.next()
	if e.name != "output" || e.id != "13:2" || e.text(t) != "two\nthree" || !strings.Contains(e.data, `"offset":4,"line":1`) {
		t.Errorf("%+v", e)
	}
	r.end(t)
	if e, _ = events.next(); e.name != "end" || !strings.Contains(e.data, `"total_lines":3,"bytes":13,"dropped":0`) {
		t.Errorf("%+v", e)
	}
	if e, ok := events.next(); ok {
		t.Errorf("after the end: %+v", e)
	}
	for _, wrong := range []string{"x", "-1:0", "5", "3:9", "1:1:1"} {
		if got := fields(t, b.call("GET", r.path()+"/output/stream", nil, "Last-Event-ID", wrong), 422); !slices.Equal(got, []string{"Last-Event-ID"}) {
			t.Errorf("%q: %v", wrong, got)
		}
	}
}

// A viewer that reads ranges itself is told what it misses; it is not sent all
// that a script can print.
func TestAViewerFarBehindIsToldOfAGap(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	r := s.running(t)
	for range 40 {
		r.print(t, out(strings.Repeat(strings.Repeat("x", 99)+"\n", 500)))
	}
	events := b.open("/api/v1" + r.path() + "/output/stream?offset=0&line=0")
	if e, _ := events.next(); e.name != "output" {
		t.Fatalf("%.80v", e)
	}
	e, _ := events.next()
	if e.name != "gap" || e.id != "2000000:20000" || !strings.Contains(e.data, `"offset":2000000,"line":20000,"total_lines":20000,"bytes":2000000`) {
		t.Fatalf("%.200v", e)
	}
	r.print(t, out("after\n"))
	if e, _ := events.next(); e.text(t) != "after\n" {
		t.Errorf("%+v", e)
	}
	whole := b.open("/api/v1" + r.path() + "/output/stream")
	size := 0
	for size < 2_000_000 {
		e, ok := whole.next()
		if !ok || e.name != "output" {
			t.Fatalf("a program that follows gets everything: %.80v", e)
		}
		size += len(e.text(t))
	}
}

// A browser that takes nothing loses its connection, and others are not slowed.
func TestASlowBrowserLosesItsConnectionAndSlowsNobody(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, func(c *handlers.Config) { c.Patience = 300 * time.Millisecond })
	b := s.program(t, cronium.ScopeRead)
	r := s.running(t)
	address := strings.TrimPrefix(s.server.URL, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1%s/output/stream HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n", r.path(), address, b.header.Get("Authorization"))
	quick := b.open("/api/v1" + r.path() + "/output/stream")
	block := strings.Repeat("y", 99_999) + "\n"
	seen := 0
	for range 300 { // more than the buffers of both ends hold
		r.print(t, out(block))
		for want := seen + len(block); seen < want; {
			e, ok := quick.next()
			if !ok {
				t.Fatal("the quick browser was cut off")
			}
			seen += len(e.text(t))
		}
	}
	// What was in the buffers can still be read; then comes the cut, long before
	// all that was printed.
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	total, buffer := 0, make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		total += n
		if err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Error("the slow browser still has its connection")
			}
			break
		}
	}
	if total >= seen {
		t.Errorf("the slow browser was sent everything, %d bytes", total)
	}
}
