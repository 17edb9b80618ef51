package helper_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cronium.dev/agent/helper"
)

func TestARequestsAnswerIsTheOutput(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Asked", r.URL.Query().Get("user"))
		io.WriteString(w, `{"state":"ok"}`)
	}))
	t.Cleanup(server.Close)
	box, dir := newBox(t, `{"user":{"names":["Ada"]}}`)
	run := func(allowed, text string) (string, error) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "request.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err := helper.Command([]string{"request", file}, func(name string) string {
			return map[string]string{"CRONIUM_DIR": dir, helper.OutboundVariable: allowed}[name]
		}, strings.NewReader(""), &out)
		return out.String(), err
	}
	ask := `{"method": "GET", "url": "` + server.URL + `/?user={{input.user.names[0]}}", "expect": {"json": [{"path": ".state", "is": "equals", "value": "STATE"}]}}`
	good := strings.Replace(ask, "STATE", "ok", 1)
	for _, allowed := range []string{"", "internet,127.0.0.1", "internet,10.0.0.0/8,127.0.0.0/8"} {
		said, err := run(allowed, good)
		output, _, readErr := box.Values()
		if err != nil || readErr != nil || !strings.Contains(string(output), `"body":{"state":"ok"}`) || !strings.Contains(string(output), `"x-asked":"Ada"`) {
			t.Errorf("with %q: %v, %v, %s, %s", allowed, err, readErr, output, said)
		}
	}
	if said, err := run("internet", good); err == nil || !strings.Contains(err.Error(), "allow list") || strings.Contains(said, "<") {
		t.Errorf("past the guard: %q, %v", said, err)
	}
	var exit *helper.Exit
	if said, err := run("", strings.Replace(ask, "STATE", "bad", 1)); !errors.As(err, &exit) || exit.Code != 1 || !strings.Contains(said, `! .state is "ok"`) {
		t.Errorf("another answer: %q, %v", said, err)
	}
	server.Close()
	if _, err := run("", good); !errors.As(err, &exit) || exit.Code != 75 {
		t.Errorf("nobody answers: %v", err)
	}
	if _, err := run("", `{"method": "GET"}`); err == nil || !strings.Contains(err.Error(), "url") {
		t.Errorf("no address: %v", err)
	}
}
