package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve is a server with one answer for all, and a client of it that is not patient.
func serve(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c := New(server.URL+"/", "crn_secret")
	c.Patience, c.Silence = 20*time.Second, 10*time.Second
	return c
}

func event(w http.ResponseWriter, id, data string) {
	fmt.Fprintf(w, ": keep\n\nid: %s\nevent: output\ndata: %s\n\n", id, data)
	w.(http.Flusher).Flush()
}

func follow(t *testing.T, c *Client) (string, error) {
	t.Helper()
	var got []string
	err := c.Follow(t.Context(), "/stream", nil, func(e Event) (bool, error) {
		got = append(got, e.Data)
		return e.Data != "end", nil
	})
	return strings.Join(got, " "), err
}

// A stream goes on behind the last event that was taken whole, whatever cuts it.
func TestFollowGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		last := r.Header.Get("Last-Event-ID")
		switch calls.Add(1) {
		case 1:
			if last != "" || r.Header.Get("Authorization") != "Bearer crn_secret" {
				t.Errorf("it begins with %v", r.Header)
			}
			event(w, "1", "one")
			fmt.Fprint(w, "id: 2\ndata: tw") // and is cut
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		default:
			if last != "1" {
				t.Errorf("it goes on behind %q", last)
			}
			event(w, "2", "two")
			event(w, "3", "end")
		}
	})
	if got, err := follow(t, c); err != nil || got != "one two end" {
		t.Errorf("it read %q, %v", got, err)
	}
}

// A connection that says nothing any more is no connection.
func TestFollowLeavesASilentConnection(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			event(w, "1", "one")
			<-r.Context().Done()
			return
		}
		event(w, "2", "end")
	})
	c.Silence = 200 * time.Millisecond
	if got, err := follow(t, c); err != nil || got != "one end" {
		t.Errorf("it read %q, %v", got, err)
	}
}

func TestFollowGivesUp(t *testing.T) {
	t.Parallel()
	var status atomic.Int32
	status.Store(http.StatusForbidden)
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })
	var refusal *Error
	if _, err := follow(t, c); !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden {
		t.Errorf("refused, it ends with %v", err)
	}
	status.Store(http.StatusServiceUnavailable)
	c.Patience = 300 * time.Millisecond
	if _, err := follow(t, c); !errors.As(err, &refusal) || refusal.Status != http.StatusServiceUnavailable {
		t.Errorf("without an answer, it ends with %v", err)
	}
}

func TestInsistAsksAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, `{"id": "7"}`)
	})
	var job struct{ ID string }
	if err := c.Insist(t.Context(), http.MethodPost, "/run", nil, map[string]int{}, &job); err != nil || job.ID != "7" {
		t.Errorf("it got %v, %v", job, err)
	}
	calls.Store(-100)
	if err := c.Do(t.Context(), http.MethodPost, "/run", nil, nil, &job); !errors.Is(err, ErrUnreachable) {
		t.Errorf("Do ends with %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Insist(ended, http.MethodGet, "/job", nil, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped, it ends with %v", err)
	}
}

func TestRefusalsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/fields":
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"status": 422, "detail": "The input is not valid.", "fields": [{"field": "input.n", "message": "must be a number"}]}`)
		case "/api/v1/moved":
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		default:
			http.Error(w, "<h1>not here</h1>", http.StatusNotFound)
		}
	})
	for path, want := range map[string]string{
		"/fields": "The input is not valid: input.n must be a number",
		"/moved":  c.Address + " sends to https://elsewhere.example/. Log in with the address that is meant.",
		"/none":   c.Address + " answers 404 Not Found. Is that the address of a Cronium?",
	} {
		if err := c.Do(t.Context(), http.MethodGet, path, nil, nil, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestListReadsAllPages(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("cursor") == "" {
			fmt.Fprint(w, `{"jobs": [1, 2], "next": "more"}`)
			return
		}
		fmt.Fprintf(w, `{"jobs": [3, %s]}`, r.FormValue("status"))
	})
	query := url.Values{"status": {"4"}}
	for most, want := range map[int]string{0: "[1 2 3 4]", 3: "[1 2 3]", 1: "[1]"} {
		if list, err := List[int](t.Context(), c, "/jobs", "jobs", query, most); err != nil || fmt.Sprint(list) != want {
			t.Errorf("at most %d: %v, %v", most, list, err)
		}
	}
	if len(query) != 1 {
		t.Errorf("it changed the caller's query: %v", query)
	}
}

// What was not read to its end is not taken for whole.
func TestCopyTellsOfACut(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "some")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	var got strings.Builder
	if err := c.Copy(t.Context(), "/output", nil, &got); !errors.Is(err, ErrUnreachable) || got.String() != "some" {
		t.Errorf("it read %q, %v", got.String(), err)
	}
}
