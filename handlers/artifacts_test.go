package handlers_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// keep has a run keep a file.
func (r *fakeRun) keep(t *testing.T, name, content string) {
	t.Helper()
	u := store.Upload{WorkspaceID: r.home, JobID: r.job, ExecutionID: r.execution, Upload: rand.Text(), Name: name}
	if _, err := r.store.AddArtifactPart(t.Context(), u, 0, []byte(content), 1<<20); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content))
	if _, err := r.store.EndArtifact(t.Context(), u, int64(len(content)), sum[:]); err != nil {
		t.Fatal(err)
	}
}

func TestArtifactsAreOnThePageAndInTheAPIAndNeverAPage(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	r := s.running(t)
	const content = "<script>alert(1)</script>"
	names := []string{"report.html", `quote" & ü.csv`}
	for _, name := range names {
		r.keep(t, name, content)
	}
	b, program := s.signedIn(t, "mira@example.com"), s.program(t, cronium.ScopeRead)
	b.get("/jobs/"+r.job.String()).want(t, http.StatusOK, "Artifacts", "report.html", "quote&#34; &amp; ü.csv", "25 B")

	res := program.get("/api/v1/jobs/" + r.job.String() + "/artifacts")
	res.want(t, http.StatusOK)
	var list struct {
		Artifacts []struct {
			Name, SHA256 string
			Size         int64
		}
	}
	if err := json.Unmarshal([]byte(res.text), &list); err != nil || len(list.Artifacts) != 2 || list.Artifacts[1].Name != "report.html" || list.Artifacts[1].Size != 25 {
		t.Errorf("listed: %s, %v", res.text, err)
	}
	for _, name := range names {
		for _, prefix := range []string{"", "/api/v1"} {
			ask := b
			if prefix != "" {
				ask = program
			}
			res := ask.get(prefix + "/executions/" + r.execution.String() + "/artifact?name=" + url.QueryEscape(name))
			res.want(t, http.StatusOK)
			if res.text != content {
				t.Errorf("%s is %q", name, res.text)
			}
			for header, want := range map[string]string{
				"Content-Type": "application/octet-stream", "Content-Security-Policy": "default-src 'none'; sandbox",
				"X-Content-Type-Options": "nosniff", "Content-Length": "25",
			} {
				if got := strings.Join(res.Header.Values(header), " | "); got != want {
					t.Errorf("%s: %s is %q", name, header, got)
				}
			}
			if got := res.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment; filename") {
				t.Errorf("%s: Content-Disposition is %q", name, got)
			}
			ask.get(prefix+"/executions/"+r.execution.String()+"/artifact?name=other").want(t, http.StatusNotFound)
		}
	}
}
