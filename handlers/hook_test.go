package handlers_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/handlers"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// hookSecret seals a secret; "" is "a webhook's secret".
func (s *site) hookSecret(t *testing.T, workspace cronium.ID, plain string) (string, *cronium.WebhookSecret) {
	t.Helper()
	if plain == "" {
		plain = "a webhook's secret"
	}
	secret := &cronium.WebhookSecret{ID: cronium.NewID()}
	var err error
	if secret.DataKey, secret.Sealed, err = s.box.Seal(t.Context(), workspace, secrets.PurposeWebhook, secret.ID, []byte(plain)); err != nil {
		t.Fatal(err)
	}
	return plain, secret
}

// hook is a webhook of an event that runs.
type hook struct {
	*cronium.Webhook
	t      *testing.T
	site   *site
	secret string
}

func (s *site) hook(t *testing.T, change func(*cronium.Webhook)) *hook {
	t.Helper()
	event := &cronium.Event{Name: "Deploy " + cronium.NewID().String(), Type: cronium.EventBash, Status: cronium.EventActive}
	if err := s.store.CreateEvent(t.Context(), s.home, event, cronium.NewContent(cronium.EventBash), "", store.Author{}); err != nil {
		t.Fatal(err)
	}
	w := cronium.NewWebhook()
	w.ID, w.WorkspaceID, w.EventID, w.Hook, w.Name = cronium.NewID(), s.home, event.ID, strings.ReplaceAll(cronium.NewID().String(), "-", ""), "hook of "+event.Name
	if change != nil {
		change(&w)
	}
	h := &hook{Webhook: &w, t: t, site: s}
	var sealed *cronium.WebhookSecret
	h.secret, sealed = s.hookSecret(t, s.home, "")
	if err := s.store.CreateWebhook(t.Context(), &w, sealed); err != nil {
		t.Fatal(err)
	}
	return h
}

// send signs a body as it has to be and sends it, with further headers in pairs.
func (h *hook) send(body string, headers ...string) answer {
	h.t.Helper()
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(h.secret))
	io.WriteString(mac, at+"."+body)
	return h.post(body, append([]string{"Content-Type", "application/json", h.TimestampHeader, at, h.Header, hex.EncodeToString(mac.Sum(nil))}, headers...)...)
}

// post sends a body with headers in pairs.
func (h *hook) post(body string, headers ...string) answer {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.site.server.URL+"/hooks/"+h.Hook, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Error(err)
	}
	return answer{res, string(text)}
}

type hookAnswer struct {
	Job       string
	Duplicate bool
}

func (h *hook) deliveries() []cronium.Delivery {
	h.t.Helper()
	list, err := h.site.store.Deliveries(h.t.Context(), h.WorkspaceID, h.ID, store.DeliveryFilter{})
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// jobs counts the jobs of the webhook's event.
func (h *hook) jobs() (n int) {
	h.t.Helper()
	if err := h.site.store.WorkerPool().QueryRow(h.t.Context(), `SELECT count(*) FROM jobs WHERE event_id = $1`, h.EventID).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestASignedRequestBecomesAJob(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, nil)
	res := h.send(`{"customer": 7}`, "Authorization", "canary")
	got := read[hookAnswer](t, res, http.StatusAccepted)
	id, _ := cronium.ParseID(got.Job)
	job, err := s.store.Job(t.Context(), s.home, id)
	if err != nil || string(job.Input) != `{"customer": 7}` || job.Trigger != cronium.TriggerWebhook || job.TriggeredBy != h.Name || job.Source == nil || *job.Source != h.ID {
		t.Errorf("%+v, %v", job, err)
	}
	if res.Header.Get("Location") != "/api/v1/jobs/"+got.Job || res.Header.Get("RateLimit") == "" || got.Duplicate {
		t.Errorf("%v %s", res.Header, res.text)
	}
	list := h.deliveries()
	if len(list) != 1 || list[0].Verdict != cronium.DeliveryAccepted || list[0].JobID == nil || *list[0].JobID != id || list[0].Size != 15 {
		t.Errorf("%+v", list)
	}
	stored, err := s.store.Delivery(t.Context(), s.home, list[0].ID)
	if text, _ := json.Marshal(stored.Headers); err != nil || string(stored.Body) != `{"customer": 7}` || strings.Contains(string(text), "canary") {
		t.Errorf("%s, %v", text, err)
	}
	if log := s.log.String(); strings.Contains(log, h.secret) || strings.Contains(log, "canary") {
		t.Error("the log has a secret")
	}
}

func TestWhatIsNotVerifiedIsNeitherParsedNorStored(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, nil)
	now := strconv.FormatInt(time.Now().Unix(), 10)
	for _, headers := range [][]string{
		{},
		{"Content-Type", "application/json", h.TimestampHeader, now, h.Header, strings.Repeat("00", 32)},
		{"Content-Type", "image/png", h.TimestampHeader, now, h.Header, "x"},
		{"Content-Type", "application/json", h.TimestampHeader, "1", h.Header, strings.Repeat("00", 32)},
	} {
		res := h.post(strings.Repeat("[", 5000)+"canary", headers...)
		res.want(t, http.StatusUnauthorized, "does not show that its sender")
	}
	list := h.deliveries()
	if len(list) != 4 || h.jobs() != 0 {
		t.Fatalf("%d deliveries, %d jobs", len(list), h.jobs())
	}
	for _, d := range list {
		full, err := s.store.Delivery(t.Context(), s.home, d.ID)
		if err != nil || d.Verdict != cronium.DeliveryRefused || d.Verified || d.Reason == "" || len(full.Body) > 0 || len(full.Headers) > 0 {
			t.Errorf("%+v, %v", full, err)
		}
	}
	// The key is not looked for in the address.
	h.post("{}", "Content-Type", "application/json").want(t, http.StatusUnauthorized)
	if res := s.browser(t).call("POST", "/../../hooks/"+h.Hook+"x", "{}"); res.StatusCode == http.StatusAccepted {
		t.Error(res.Status)
	}
}

func TestGuessesAreBoundedAndDoNotTakeTheSendersShare(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, nil)
	limited := 0
	for range 40 {
		if res := h.post("{}", h.TimestampHeader, "1", h.Header, "00"); res.StatusCode == http.StatusTooManyRequests {
			if limited++; res.Header.Get("Retry-After") == "" {
				t.Error("it does not say when to try again")
			}
		}
	}
	if n := len(h.deliveries()); limited < 5 || n > 25 {
		t.Errorf("%d were limited, %d recorded", limited, n)
	}
	// Another webhook takes requests of the same address.
	other := s.hook(t, nil)
	read[hookAnswer](t, other.send("{}"), http.StatusAccepted)
}

func TestARepetitionGetsTheJobOfThen(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, nil)
	first := read[hookAnswer](t, h.send(`{"a":1}`, "Idempotency-Key", "k1"), http.StatusAccepted)
	again := read[hookAnswer](t, h.send(`{"a":1}`, "Idempotency-Key", "k1"), http.StatusAccepted)
	if again.Job != first.Job || !again.Duplicate {
		t.Errorf("%+v, %+v", first, again)
	}
	h.send(`{"a":2}`, "Idempotency-Key", "k1").want(t, http.StatusConflict, "with another body")
	// The same bytes, sent by who has seen them, whatever name they get.
	at, body := strconv.FormatInt(time.Now().Unix(), 10), `{"a":3}`
	mac := hmac.New(sha256.New, []byte(h.secret))
	io.WriteString(mac, at+"."+body)
	seen := []string{"Content-Type", "application/json", h.TimestampHeader, at, h.Header, hex.EncodeToString(mac.Sum(nil))}
	third := read[hookAnswer](t, h.post(body, append(seen, "Idempotency-Key", "k2")...), http.StatusAccepted)
	replayed := read[hookAnswer](t, h.post(body, append(seen, "Idempotency-Key", "k3")...), http.StatusAccepted)
	if replayed.Job != third.Job || !replayed.Duplicate || h.jobs() != 2 {
		t.Errorf("%+v, %+v, %d jobs", third, replayed, h.jobs())
	}
	// Also when the event does not run any more.
	if _, err := s.store.SetEventStatus(t.Context(), s.home, h.EventID, cronium.EventPaused); err != nil {
		t.Fatal(err)
	}
	if res := read[hookAnswer](t, h.send(`{"a":1}`, "Idempotency-Key", "k1"), http.StatusAccepted); res.Job != first.Job {
		t.Errorf("%+v", res)
	}
	h.send(`{"a":9}`, "Idempotency-Key", "k9").want(t, http.StatusConflict, "paused")
}

func TestOfManyAtOnceOneMakesTheJob(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, nil)
	jobs := make([]string, 12)
	var all sync.WaitGroup
	for i := range jobs {
		all.Go(func() {
			var got hookAnswer
			if res := h.send(`{"a":1}`, "Idempotency-Key", "k"); json.Unmarshal([]byte(res.text), &got) == nil {
				jobs[i] = got.Job
			}
		})
	}
	all.Wait()
	for _, job := range jobs {
		if job == "" || job != jobs[0] {
			t.Errorf("%q", jobs)
		}
	}
	if n := h.jobs(); n != 1 {
		t.Errorf("%d jobs", n)
	}
}

func TestAWebhookAnswersWithTheOutput(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, func(w *cronium.Webhook) { w.WaitSeconds = 20 })
	for body, end := range map[string]string{`{"n":1}`: "SUCCESS", `{"n":2}`: "FAILURE"} {
		done := make(chan answer, 1)
		go func() { done <- h.send(body) }()
		id := s.endNewJob(t, h.EventID, end)
		switch res := <-done; end {
		case "SUCCESS":
			res.want(t, http.StatusOK, `{"sum": 3}`)
			if res.Header.Get("Location") != "/api/v1/jobs/"+id {
				t.Errorf("%v", res.Header)
			}
		default:
			res.want(t, http.StatusBadGateway, "FAILURE", "failed")
		}
	}
}

// endNewJob waits for the queued job of an event and ends it, as a server
// process would.
func (s *site) endNewJob(t *testing.T, event cronium.ID, result string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		var id cronium.ID
		err := s.store.WorkerPool().QueryRow(ctx, `UPDATE jobs SET status = $2, result = $3, output = '{"sum": 3}', finished_at = now()
			WHERE event_id = $1 AND status = 'QUEUED' RETURNING id`, event, cronium.Result(result).JobStatus(), result).Scan(&id)
		if err == nil {
			s.Hub.Publish(live.JobTopic(id))
			return id.String()
		}
	}
	t.Fatal("no job came")
	return ""
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, nil)
	h.send(`"`+strings.Repeat("x", 1<<20)+`"`).want(t, http.StatusRequestEntityTooLarge)
	read[hookAnswer](t, h.send(`"`+strings.Repeat("x", 1<<20-2)+`"`), http.StatusAccepted)
	h.send(strings.Repeat("[", 100)+strings.Repeat("]", 100)).want(t, http.StatusUnprocessableEntity, "nested")
	h.send(`{"a":`).want(t, http.StatusUnprocessableEntity, "is not")
	h.send("\xff").want(t, http.StatusUnprocessableEntity, "UTF-8")
	h.send(`{}`, "Content-Type", "multipart/form-data; boundary=x").want(t, http.StatusUnsupportedMediaType)
	if n := h.jobs(); n != 1 {
		t.Errorf("%d jobs", n)
	}
}

func TestASlowBodyIsCut(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, nil)
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	fmt.Fprintf(conn, "POST /hooks/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{", h.Hook)
	if err := conn.SetReadDeadline(time.Now().Add(25 * time.Second)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("after %s: %v, %v", time.Since(began), res, err)
	}
}

func TestOnlyListedAddressesMaySend(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, func(c *handlers.Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	h := s.hook(t, func(w *cronium.Webhook) { w.Allow = []string{"192.0.2.0/24", "2001:db8::7"} })
	for from, status := range map[string]int{
		"192.0.2.9": http.StatusAccepted, "2001:db8::7": http.StatusAccepted, "192.0.3.9": http.StatusForbidden, "2001:db8::8": http.StatusForbidden, "": http.StatusForbidden,
		"192.0.2.9, 203.0.113.5": http.StatusForbidden, // the last one that no proxy of ours is
	} {
		if res := h.send(fmt.Sprintf("%q", from), "X-Forwarded-For", from); res.StatusCode != status {
			t.Errorf("from %q: %s", from, res.Status)
		}
	}
}

func TestTheRateOfAWebhookHolds(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, func(w *cronium.Webhook) { w.RatePerMinute = 3 })
	for i := range 5 {
		res := h.send(strconv.Itoa(i))
		want := http.StatusAccepted
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		if res.StatusCode != want || res.Header.Get("RateLimit-Policy") != `"webhook";q=3;w=60` || want == http.StatusTooManyRequests && res.Header.Get("Retry-After") == "" {
			t.Errorf("request %d: %s %v", i, res.Status, res.Header)
		}
	}
}

func TestSendersTrialsAreAnsweredWithoutAJob(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	h := s.hook(t, func(w *cronium.Webhook) { w.Style, w.Header, w.TimestampHeader = cronium.WebhookGitHub, "", "" })
	mac := hmac.New(sha256.New, []byte(h.secret))
	io.WriteString(mac, `{"zen":"x"}`)
	signed := []string{"Content-Type", "application/json", "X-Hub-Signature-256", "sha256=" + hex.EncodeToString(mac.Sum(nil))}
	h.post(`{"zen":"x"}`, append(signed, "X-GitHub-Event", "ping")...).want(t, http.StatusOK, "pong")
	if list := h.deliveries(); h.jobs() != 0 || len(list) != 1 || list[0].Verdict != cronium.DeliveryAnswered {
		t.Errorf("%+v", list)
	}
}
