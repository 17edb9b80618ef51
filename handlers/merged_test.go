package handlers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
)

func TestMergedOutputGoesOnWhereEachServerWasReadAndIsSearched(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeRead)
	at := func(ms int, text string) cronium.Chunk {
		return cronium.Chunk{Stream: cronium.Stdout, At: time.Duration(ms) * time.Millisecond, Data: []byte(text)}
	}
	one := s.running(t, at(10, "one a\n"), at(30, "one \x1b[1mb\x1b[0m\n"), at(50, "one without an end"))
	two := s.running(t, at(20, "two a\n"))
	s.exec(t, `UPDATE executions SET job_id = $1, started_at = '2026-11-20' WHERE id = ANY($2)`, one.job, []cronium.ID{one.execution, two.execution})
	for i, r := range []*fakeRun{one, two} {
		s.exec(t, `INSERT INTO job_targets (job_id, server_id, workspace_id, position, kind, name, status, execution_id) VALUES ($1, $2, $3, $4, 'ssh', $5, 'RUNNING', $6)`,
			one.job, cronium.NewID(), s.home, i*300, fmt.Sprint("web-", i+1), r.execution)
	}
	type page struct {
		Lines []struct{ Server, Text string }
		Total int
		Next  string
		More  bool
	}
	get := func(query string) (string, page) {
		t.Helper()
		p := read[page](t, b.call(http.MethodGet, "/jobs/"+one.job.String()+"/output?"+query, nil), http.StatusOK)
		var texts []string
		for _, line := range p.Lines {
			texts = append(texts, line.Server+": "+line.Text)
		}
		return strings.Join(texts, ", "), p
	}
	first, p := get("limit=2")
	if first != "web-1: one a, web-2: two a" || !p.More {
		t.Errorf("%s; %+v", first, p)
	}
	two.print(t, at(25, "two late\n")) // before what is read next
	second, p := get("cursor=" + p.Next)
	if second != "web-2: two late, web-1: one \x1b[1mb\x1b[0m" || p.More || p.Next == "" {
		t.Errorf("%q; %+v", second, p)
	}
	one.print(t, at(60, " ends\n"))
	third, p := get("cursor=" + p.Next)
	if third != "web-1: one without an end ends" || p.More {
		t.Errorf("%q; %+v", third, p)
	}
	if again, _ := get("cursor=" + p.Next); again != "" {
		t.Errorf("given again: %q", again)
	}
	if found, p := get("q=" + url.QueryEscape("ONE B")); found != "web-1: one \x1b[1mb\x1b[0m" || p.More {
		t.Errorf("%q; %+v", found, p)
	}
	if found, _ := get("match_case=true&q=ONE"); found != "" {
		t.Errorf("%q", found)
	}
	found, p := get("limit=1&q=a")
	if more, _ := get("q=a&cursor=" + p.Next); found != "web-1: one a" || more != "web-2: two a, web-2: two late, web-1: one without an end ends" {
		t.Errorf("%q, then %q", found, more)
	}
	last, p := get("from=-2")
	if last != "web-1: one \x1b[1mb\x1b[0m, web-1: one without an end ends" || p.Total != 5 {
		t.Errorf("%q; %+v", last, p)
	}
	// Another attempt is read from its beginning.
	s.exec(t, `UPDATE executions SET attempt = 2 WHERE id = $1`, two.execution)
	if anew, _ := get("cursor=" + p.Next); anew != "web-2: two a, web-2: two late" {
		t.Errorf("%q", anew)
	}
	for query, field := range map[string]string{"cursor=%2F": "cursor", "cursor=gA": "cursor", "from=-1&q=a": "from", "q=" + url.QueryEscape("a\nb"): "q"} {
		b.call(http.MethodGet, "/jobs/"+one.job.String()+"/output?"+query, nil).want(t, http.StatusUnprocessableEntity, `"`+field+`"`)
	}
}
