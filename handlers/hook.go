package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"cronium.dev/cronium"
	"cronium.dev/jobs"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
	"cronium.dev/webhook"
)

// hookPath is before the part of a webhook's address that nobody can guess.
const hookPath = "/hooks/"

const (
	// hookBodyTime is how long a request's body may take.
	hookBodyTime = 10 * time.Second
	// onceRemembered is how long the name of a request makes a repetition the same.
	onceRemembered = 7 * 24 * time.Hour
)

// errNotVerified is all that a sender is told: what did not fit is on the page of
// the webhook, for those who may see it.
var errNotVerified = cronium.Errorf(cronium.CodeUnauthorized,
	"The request does not show that its sender knows the secret of this webhook. Its page in Cronium lists the request with the reason.")

func (h *Handlers) hookRoutes() []Route {
	return []Route{
		{Method: http.MethodPost, Pattern: hookPath + "{hook}", Permission: cronium.PermissionPublic, Kind: KindHook, Handle: h.hook, MaxBody: cronium.MaxWebhookBytes},
	}
}

// hookCall is one request to a webhook.
type hookCall struct {
	*Handlers
	webhook  *cronium.Webhook
	secrets  []cronium.WebhookSecret
	delivery *cronium.Delivery
}

// hook takes a request of a sender outside. Nothing of it is parsed or stored
// before it is verified.
func (h *Handlers) hook(w http.ResponseWriter, r *http.Request) error {
	found, sealed, err := h.Store.Hook(r.Context(), chi.URLParam(r, "hook"))
	if err != nil {
		return err
	}
	id := cronium.NewID()
	address := requestOf(r).address
	c := &hookCall{Handlers: h, webhook: found, secrets: sealed, delivery: &cronium.Delivery{
		ID: id, WorkspaceID: found.WorkspaceID, WebhookID: found.ID, Verdict: cronium.DeliveryRefused, Address: address.String(), At: cronium.IDTime(id)}}
	if !found.Admits(address) {
		return c.refuse(r.Context(), cronium.Errorf(cronium.CodeForbidden, "This address does not take requests from yours."), "its address is not on the list of those that may send")
	}
	if wait := h.hooks.guess(found.ID, address, false); wait > 0 {
		return &cronium.Error{Code: cronium.CodeLimited, Wait: wait, Message: "Too many requests from your address were not verified. Wait before the next."}
	}
	proof, body, err := c.verify(w, r)
	if err != nil {
		return err
	}
	if err := h.hooks.count(w, found); err != nil {
		return err
	}
	c.delivery.Verified, c.delivery.Headers = true, webhook.Headers(found, r.Header)
	c.delivery.Body, c.delivery.Size, c.delivery.ContentType = webhook.Kept(body), len(body), r.Header.Get("Content-Type")
	if len(c.delivery.ContentType) > 200 {
		c.delivery.ContentType = ""
	}
	return c.take(w, r, proof, body)
}

// verify reads the body and checks who sent it.
func (c *hookCall) verify(w http.ResponseWriter, r *http.Request) (webhook.Proof, []byte, error) {
	ctx := r.Context()
	if !c.hooks.enter() {
		return webhook.Proof{}, nil, &cronium.Error{Code: cronium.CodeUnavailable, Wait: time.Second, Message: "Too many requests are being read. Send it again."}
	}
	defer c.hooks.leave()
	body, err := readHook(w, r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return webhook.Proof{}, nil, c.refuse(ctx, err, fmt.Sprintf("its body is longer than %d KiB", cronium.MaxWebhookBytes>>10))
	case err != nil:
		return webhook.Proof{}, nil, &cronium.Error{Code: cronium.CodeInvalid, Message: "The body did not come within 10 seconds.", Err: err}
	}
	plain, err := c.open(ctx)
	if err != nil {
		return webhook.Proof{}, nil, err
	}
	defer wipeAll(plain)
	proof, err := webhook.Verify(c.webhook, plain, r.Header, body, time.Now())
	if err != nil {
		c.hooks.guess(c.webhook.ID, requestOf(r).address, true)
		return proof, nil, c.refuse(ctx, errNotVerified, err.Error())
	}
	return proof, body, nil
}

// readHook reads a body, for hookBodyTime at most.
func readHook(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(hookBodyTime)) // not supported only by test recorders
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.Header().Set("Connection", "close") // nobody waits for the rest
		return nil, err
	}
	_ = control.SetReadDeadline(time.Time{}) // the answer may have to wait for a job
	return body, nil
}

// open gives the secrets that count.
func (c *hookCall) open(ctx context.Context) ([][]byte, error) {
	items := make([]secrets.Item, len(c.secrets))
	for i, s := range c.secrets {
		items[i] = secrets.Item{ID: s.ID, Key: s.DataKey, Sealed: s.Sealed}
	}
	plain, err := c.Box.OpenAll(ctx, c.webhook.WorkspaceID, secrets.PurposeWebhook, items)
	if err != nil {
		wipeAll(plain)
		return nil, err
	}
	return plain, nil
}

func wipeAll(plain [][]byte) {
	for _, p := range plain {
		secrets.Wipe(p)
	}
}

// take makes a job of a verified request, and answers.
func (c *hookCall) take(w http.ResponseWriter, r *http.Request, proof webhook.Proof, body []byte) error {
	ctx := r.Context()
	if !c.webhook.Enabled {
		return c.refuse(ctx, cronium.Errorf(cronium.CodeConflict, "The webhook is switched off."), "the webhook is switched off")
	}
	payload, err := webhook.Read(c.webhook, r.Header, body)
	if err != nil {
		return c.refuse(ctx, err, reasonOf(err))
	}
	if payload.Trial {
		c.delivery.Verdict = cronium.DeliveryAnswered
		c.record(ctx, http.StatusOK, "")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, err := io.WriteString(w, payload.Answer)
		return err
	}
	job, err := c.deliver(ctx, payload.Input, seenOf(proof, payload, body))
	if err != nil {
		if code := cronium.CodeOf(err); code == cronium.CodeInternal || code == cronium.CodeUnavailable {
			return err
		}
		return c.refuse(ctx, err, reasonOf(err))
	}
	if c.webhook.WaitSeconds > 0 && c.hooks.wait() {
		defer c.hooks.waited()
		if done := c.await(ctx, job); done != nil {
			return c.answerOutput(w, done)
		}
	}
	return c.answer(w, job)
}

// seenOf is what tells a repetition of the request.
func seenOf(proof webhook.Proof, payload *webhook.Payload, body []byte) (seen []store.Seen) {
	request := sha256.Sum256(body)
	if payload.Once != "" {
		key := sha256.Sum256([]byte("name " + payload.Once))
		seen = append(seen, store.Seen{Key: key[:], Request: request[:], For: onceRemembered})
	}
	if proof.Signature != nil && proof.Remember > 0 {
		key := sha256.Sum256(append([]byte("signature "), proof.Signature...))
		seen = append(seen, store.Seen{Key: key[:], Request: request[:], For: proof.Remember})
	}
	return seen
}

// deliver stores the job of the delivery; it gives the one of before for a
// repetition.
func (c *hookCall) deliver(ctx context.Context, input json.RawMessage, seen []store.Seen) (cronium.ID, error) {
	c.delivery.Status = http.StatusAccepted
	job, first, err := c.Engine.Deliver(ctx, c.delivery, jobs.Request{
		WorkspaceID: c.webhook.WorkspaceID, EventID: c.webhook.EventID, Input: input,
		Trigger: cronium.TriggerWebhook, TriggeredBy: c.webhook.Name, Source: &c.webhook.ID,
	}, seen)
	switch {
	case err != nil:
		return cronium.ID{}, err
	case first != nil:
		c.record(ctx, http.StatusAccepted, "")
		return *first, nil
	}
	return job.ID, nil
}

// refuse records why, and gives the error that the sender is told. Requests that
// nobody has verified are recorded at a bounded rate, without their content.
func (c *hookCall) refuse(ctx context.Context, answer error, reason string) error {
	c.delivery.Verdict = cronium.DeliveryRefused
	if c.delivery.Verified || c.hooks.note(c.webhook.ID) {
		c.record(ctx, problemOf(answer, "").Status, reason)
	}
	return answer
}

// record stores a delivery without a job of its own.
func (c *hookCall) record(ctx context.Context, status int, reason string) {
	c.delivery.Status, c.delivery.Reason = status, reason
	if err := c.Store.RecordDelivery(ctx, c.delivery); err != nil {
		c.Log.WarnContext(ctx, "a delivery was not recorded", "webhook", c.webhook.ID, "verdict", c.delivery.Verdict, "reason", reason, "error", err)
		return
	}
	c.Hub.Publish(live.WebhooksTopic(c.webhook.WorkspaceID))
}

// reasonOf is an error in one sentence.
func reasonOf(err error) string {
	var e *cronium.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := e.Message
	for _, f := range e.Fields {
		text += " " + f.Field + " " + strings.TrimSuffix(f.Message, ".") + "."
	}
	return text
}

// hookAnswer is the answer to a request that has a job.
type hookAnswer struct {
	Job       cronium.ID `json:"job"`
	Duplicate bool       `json:"duplicate"` // the request came before; this is the job of then
}

func (c *hookCall) answer(w http.ResponseWriter, job cronium.ID) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", apiPrefix+"/jobs/"+job.String())
	w.WriteHeader(http.StatusAccepted)
	return json.NewEncoder(w).Encode(hookAnswer{job, c.delivery.Verdict == cronium.DeliveryDuplicate})
}

// answerOutput answers with what the job gave as output, null for nothing.
func (c *hookCall) answerOutput(w http.ResponseWriter, job *cronium.Job) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", apiPrefix+"/jobs/"+job.ID.String())
	if job.Result != cronium.ResultSuccess {
		writeProblem(w, problem{Type: "about:blank", Title: http.StatusText(http.StatusBadGateway), Status: http.StatusBadGateway, Code: "failed",
			Detail: "The job " + job.ID.String() + " ended with " + string(job.Result) + ". Its page says why."})
		return nil
	}
	output := []byte(job.Output)
	if len(output) == 0 {
		output = []byte("null")
	}
	_, err := w.Write(output)
	return err
}

// await waits until a job has ended, as long as the webhook says. It gives nil
// for one that goes on, and where the server stops.
func (c *hookCall) await(ctx context.Context, id cronium.ID) *cronium.Job {
	ctx, cancel := c.untilDraining(ctx)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, time.Duration(c.webhook.WaitSeconds)*time.Second)
	defer stop()
	subscription := c.Hub.Subscribe(live.JobTopic(id))
	defer subscription.Close()
	look := time.NewTicker(2 * time.Second) // a lost notification costs a moment
	defer look.Stop()
	for {
		row, err := c.Store.Job(ctx, c.webhook.WorkspaceID, id)
		if err == nil && row.Status.Final() {
			return &row.Job
		}
		select {
		case <-ctx.Done():
			return nil
		case <-subscription.C():
			subscription.Take()
		case <-look.C:
		}
	}
}
