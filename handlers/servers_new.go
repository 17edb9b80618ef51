package handlers

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor/ssh"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// testLimit is how long a test of a connection may take in all.
const testLimit = 90 * time.Second

func (h *Handlers) newServerPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderServerForm(w, r, http.StatusOK, views.ServerForm{ID: cronium.NewID()})
}

func (h *Handlers) renderServerForm(w http.ResponseWriter, r *http.Request, status int, page views.ServerForm) error {
	title, path := "Add a server", []layout.Crumb{serversCrumb()}
	if page.Edit {
		title, path = "Change", append(path, layout.Crumb{Label: page.Name, URL: "/servers/" + page.ID.String()})
	}
	var err error
	if page.Frame, err = h.serversFrame(r, title, path...); err != nil {
		return err
	}
	page.Modules, page.CanTest = []string{"js/servertest.js"}, h.Tester != nil
	return h.render(w, r, status, page.Page())
}

// serverFormOf reads the form, without its secrets into the page.
func serverFormOf(r *http.Request) (serverInput, views.ServerForm, cronium.Problems) {
	form, problems := r.PostForm, cronium.Problems{}
	get := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	in := serverInput{
		Name: get("name"), Description: strings.TrimSpace(lines(form.Get("description"))), Environment: get("environment"), Address: get("address"), User: get("user"),
		HostKey: get("host_key"), Password: form.Get("password"), PrivateKey: form.Get("private_key"), Passphrase: form.Get("passphrase"),
	}
	page := views.ServerForm{
		Name: in.Name, Description: in.Description, Environment: in.Environment, Address: in.Address, User: in.User,
		Tags: get("tags"), Jumps: get("jumps"), Unconfirmed: get("unconfirmed") == "1",
		Retype: in.Password != "" || in.PrivateKey != "" || in.Passphrase != "",
	}
	page.ID, _ = cronium.ParseID(get("id"))
	var err error
	in.Tags, err = cronium.ParseTags(page.Tags)
	problems.Add(err == nil, "tags", "%v", err)
	in.Port, err = strconv.Atoi(get("port"))
	problems.Add(err == nil, "port", "must be a number between 1 and 65,535")
	page.Port = in.Port
	in.Jumps = strings.FieldsFunc(page.Jumps, func(r rune) bool { return r == ',' || r == ' ' })
	return in, page, problems
}

// refuse shows the form again, with what was wrong.
func (h *Handlers) refuseServer(w http.ResponseWriter, r *http.Request, page views.ServerForm, err error) error {
	problems, message, status, ok := formProblems(w, err)
	if !ok {
		return err
	}
	page.Problems = problems
	if len(problems) == 0 || status == http.StatusConflict {
		page.Message = message
	}
	return h.renderServerForm(w, r, status, page)
}

// addServer makes a server of the form. Its host key must have been confirmed in
// it, or left to be confirmed later.
func (h *Handlers) addServer(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	in, page, problems := serverFormOf(r)
	if page.ID == (cronium.ID{}) {
		page.ID = cronium.NewID()
	}
	s := &cronium.Server{ID: page.ID, WorkspaceID: principal(r).WorkspaceID, Kind: cronium.ServerSSH}
	if len(problems) > 0 {
		// What else is wrong is told with it.
		var others *cronium.Error
		if _, _, err := h.apply(r.Context(), in, s); errors.As(err, &others) {
			problems = append(problems, without(others.Fields, problems)...)
		}
		return h.refuseServer(w, r, page, problems.Err("The server"))
	}
	if in.HostKey == "" && !page.Unconfirmed {
		if _, _, err := h.apply(r.Context(), in, s); err != nil {
			return h.refuseServer(w, r, page, err)
		}
		page.Test = h.askForKey(r.Context(), s)
		problems.Add(false, "host_key", "must be confirmed. Compare it with what the machine itself says, and tick it; or save without a test")
		return h.refuseServer(w, r, page, problems.Err("The server"))
	}
	if err := h.saveServer(r.Context(), s, in); err != nil {
		page.Test = agreed(in)
		return h.refuseServer(w, r, page, err)
	}
	return redirect(w, r, backToServer(s.ID, "added"))
}

// without are those problems whose fields others do not name.
func without(problems, others cronium.Problems) (rest cronium.Problems) {
	for _, p := range problems {
		named := false
		for _, o := range others {
			named = named || o.Field == p.Field
		}
		if !named {
			rest = append(rest, p)
		}
	}
	return rest
}

// agreed keeps the key that was confirmed in a form which is shown again.
func agreed(in serverInput) views.ServerTest {
	key, ok := parseHostKey(in.HostKey)
	if !ok {
		return views.ServerTest{}
	}
	return views.ServerTest{Host: in.Name, Key: base64.StdEncoding.EncodeToString(key), Print: ssh.Fingerprint(key), Agreed: true}
}

// askForKey asks a host for its key, without anything to sign in with.
func (h *Handlers) askForKey(ctx context.Context, s *cronium.Server) views.ServerTest {
	bare := *s
	bare.HostKey, bare.CredentialID = nil, nil
	var last views.ServerTest
	h.tryServer(ctx, &bare, nil, func(t views.ServerTest) { last = t })
	return last
}

// testServer tries the connection of the form, and sends each step as it comes:
// lines of JSON strings, each the whole of the steps so far as HTML.
func (h *Handlers) testServer(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	in, page, problems := serverFormOf(r)
	if err := problems.Err("The server"); err != nil {
		return err
	}
	if h.Tester == nil {
		return cronium.Errorf(cronium.CodeUnavailable, "This server process connects to nothing over SSH.")
	}
	s := &cronium.Server{ID: page.ID, WorkspaceID: principal(r).WorkspaceID, Kind: cronium.ServerSSH}
	if r.PostForm.Get("edit") == "true" {
		stored, err := h.Store.Server(r.Context(), s.WorkspaceID, page.ID)
		if err != nil {
			return err
		}
		if stored.Address != in.Address || stored.Port != in.Port {
			stored.HostKey = nil
		}
		s = stored
	}
	if s.ID == (cronium.ID{}) {
		s.ID = cronium.NewID()
	}
	signIn, _, err := h.apply(r.Context(), in, s)
	if err != nil {
		return err
	}
	if signIn != nil {
		defer signIn.Wipe()
	}
	out := h.patientWriter(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	ctx, cancel := h.untilDraining(r.Context())
	defer cancel()
	h.tryServer(ctx, s, signIn, func(t views.ServerTest) {
		var html bytes.Buffer
		if err := t.Progress("").Render(ctx, &html); err != nil {
			return // the browser is gone
		}
		line, err := json.Marshal(html.String())
		if err == nil {
			if _, err = out.Write(append(line, '\n')); err == nil {
				err = out.control.Flush()
			}
		}
		if err != nil {
			cancel()
		}
	})
	return nil
}

// tryServer tries a connection and tells how far it has come, each time as a
// whole.
func (h *Handlers) tryServer(ctx context.Context, s *cronium.Server, signIn *cronium.SignIn, tell func(views.ServerTest)) {
	t := views.ServerTest{Host: s.Name}
	if len(s.HostKey) > 0 {
		t.Key, t.Print, t.Agreed = base64.StdEncoding.EncodeToString(s.HostKey), ssh.Fingerprint(s.HostKey), true
	}
	err := h.runTest(ctx, s, signIn, func(step ssh.Step) {
		shown := views.ServerStep{Name: string(step.Name), Done: step.Done, Detail: step.Detail, Took: step.Took}
		if step.Host != s.Name {
			shown.Host = step.Host
		}
		if step.Err != nil {
			shown.Problem = toldOf(step.Err)
		}
		if last := len(t.Steps) - 1; step.Done && last >= 0 && t.Steps[last].Name == shown.Name && t.Steps[last].Host == shown.Host {
			t.Steps[last] = shown
		} else {
			t.Steps = append(t.Steps, shown)
		}
		tell(t)
	})
	t.Ended = true
	var shown *ssh.HostKeyError
	if errors.As(err, &shown) && h.ofLast(s, &t) {
		if shown.Changed() {
			t.Was = ssh.Fingerprint(shown.Pinned)
		}
		t.Key, t.Print, t.Agreed = base64.StdEncoding.EncodeToString(shown.Key), ssh.Fingerprint(shown.Key), false
		t.Steps[len(t.Steps)-1].Problem, t.Steps[len(t.Steps)-1].Detail = "", ""
		t.Steps[len(t.Steps)-1].Done = t.Was == ""
	}
	if err != nil {
		t.Problem = toldOf(err)
	}
	tell(t)
}

// ofLast tells whether the test ended at the server itself and not at a jump host.
func (h *Handlers) ofLast(s *cronium.Server, t *views.ServerTest) bool {
	return len(t.Steps) > 0 && t.Steps[len(t.Steps)-1].Host == ""
}

func (h *Handlers) runTest(ctx context.Context, s *cronium.Server, signIn *cronium.SignIn, report func(ssh.Step)) error {
	if h.Tester == nil {
		return cronium.Errorf(cronium.CodeUnavailable, "This server process connects to nothing over SSH.")
	}
	c, err := h.connection(ctx, s, signIn)
	if err != nil {
		return err
	}
	defer c.Wipe()
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	return h.Tester.Test(ctx, c, report)
}

// toldOf is what a person may read of an error.
func toldOf(err error) string {
	var e *cronium.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "Something went wrong in the server: this is our fault, not yours. Its log says what it is."
}

func (h *Handlers) editServerPage(w http.ResponseWriter, r *http.Request) error {
	s, page, err := h.storedForm(r)
	if err != nil {
		return err
	}
	if s.ArchivedAt != nil {
		return redirect(w, r, "/servers/"+s.ID.String())
	}
	return h.renderServerForm(w, r, http.StatusOK, page)
}

// storedForm is the form of a server over SSH as it is stored.
func (h *Handlers) storedForm(r *http.Request) (*cronium.Server, views.ServerForm, error) {
	var page views.ServerForm
	id, err := pathID(r, "id")
	if err != nil {
		return nil, page, err
	}
	workspace := principal(r).WorkspaceID
	s, err := h.Store.Server(r.Context(), workspace, id)
	if err != nil {
		return nil, page, err
	}
	page = views.ServerForm{
		ID: s.ID, Edit: true, Name: s.Name, Description: s.Description, Environment: s.Environment, Tags: cronium.FormatTags(s.Tags),
		Address: s.Address, Port: s.Port, User: s.Login, Agent: s.Kind == cronium.ServerAgent, Version: s.Version,
	}
	if len(s.HostKey) > 0 {
		page.Pinned = ssh.Fingerprint(s.HostKey)
	}
	jumps, err := h.jumpsShown(r.Context(), s)
	if err != nil {
		return nil, page, err
	}
	var names []string
	for _, j := range jumps {
		names = append(names, j.Name)
	}
	page.Jumps = strings.Join(names, ", ")
	page.Stored, err = h.storedHint(r.Context(), s)
	return s, page, err
}

// storedHint is what may be shown of what is stored to sign in with.
func (h *Handlers) storedHint(ctx context.Context, s *cronium.Server) (string, error) {
	if s.CredentialID == nil {
		return "", nil
	}
	c, err := h.Store.Credential(ctx, s.WorkspaceID, *s.CredentialID)
	if err != nil {
		return "", err
	}
	return c.Hint, nil
}

func (h *Handlers) jumpsShown(ctx context.Context, s *cronium.Server) ([]cronium.Server, error) {
	var jumps []cronium.Server
	if len(s.Jumps) == 0 {
		return nil, nil
	}
	rows, err := h.Store.Servers(ctx, s.WorkspaceID, store.ServerFilter{IDs: s.Jumps})
	for _, id := range s.Jumps {
		for i := range rows {
			if rows[i].ID == id {
				jumps = append(jumps, rows[i].Server)
			}
		}
	}
	return jumps, err
}

func (h *Handlers) editServer(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	s, before, err := h.storedForm(r)
	if err != nil {
		return err
	}
	if before.Agent {
		r.PostForm.Set("port", "22")
	}
	in, page, problems := serverFormOf(r)
	page.ID, page.Edit, page.Agent, page.Stored, page.Pinned = s.ID, true, before.Agent, before.Stored, before.Pinned
	if page.Version, err = strconv.Atoi(r.PostForm.Get("version")); err != nil {
		page.Version = before.Version
	}
	if err := problems.Err("The server"); err != nil {
		return h.refuseServer(w, r, page, err)
	}
	s.Version = page.Version // what was shown is what is changed
	if err := h.changeServer(r.Context(), s, in); err != nil {
		var told *cronium.Error
		if errors.As(err, &told) && told.Code == cronium.CodeConflict {
			page.Version = before.Version // who has read what others saved may save again
		}
		page.Test = agreed(in)
		return h.refuseServer(w, r, page, err)
	}
	return redirect(w, r, backToServer(s.ID, "saved"))
}
