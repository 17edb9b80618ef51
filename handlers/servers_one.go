package handlers

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor/ssh"
	"cronium.dev/views"
)

const (
	serverJobs  = 12               // on a server's page
	removeLimit = 15 * time.Second // for taking the agent off a server that is deleted
)

func (h *Handlers) serverPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderServer(w, r, http.StatusOK, "")
}

func (h *Handlers) renderServer(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	ctx, workspace := r.Context(), principal(r).WorkspaceID
	row, err := h.Store.ServerRow(ctx, workspace, id)
	if err != nil {
		return err
	}
	page := views.ServerPage{ServerRow: serverRowOf(row), Now: time.Now(), Problem: problem}
	if page.Frame, err = h.serversFrame(r, row.Name, serversCrumb()); err != nil {
		return err
	}
	page.Live = "/live?topics=servers,jobs"
	if page.Jumps, err = h.jumpsShown(ctx, &row.Server); err != nil {
		return err
	}
	if principal(r).Can(cronium.PermissionAdmin) {
		if page.Credential, err = h.storedHint(ctx, &row.Server); err != nil {
			return err
		}
	}
	if len(row.HostKey) > 0 {
		page.KeyPrint = ssh.Fingerprint(row.HostKey)
	}
	if len(row.OfferedKey) > 0 {
		page.Offered, page.OfferedKey = ssh.Fingerprint(row.OfferedKey), base64.StdEncoding.EncodeToString(row.OfferedKey)
	}
	jobs, err := h.Store.JobsOnServer(ctx, workspace, id, serverJobs)
	if err != nil {
		return err
	}
	for i := range jobs {
		j := &jobs[i]
		page.Jobs = append(page.Jobs, views.ServerJob{JobRow: views.JobRow{Job: j.Job, EventName: j.EventName}, Status: j.Target})
	}
	events, err := h.Store.EventsOnServer(ctx, workspace, id, selectorMatches(&row.Server))
	if err != nil {
		return err
	}
	for _, e := range events {
		page.Events = append(page.Events, views.ServerEvent(e))
	}
	return h.render(w, r, status, page.Page())
}

// afterServer goes back to a server's page, or shows on it why not.
func (h *Handlers) afterServer(w http.ResponseWriter, r *http.Request, to string, err error) error {
	if err == nil {
		return redirect(w, r, to)
	}
	_, message, status, ok := formProblems(w, err)
	if !ok {
		return err
	}
	return h.renderServer(w, r, status, message)
}

func (h *Handlers) decideHostKey(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	switch r.PostForm.Get("decision") {
	case "accept":
		err = h.acceptKey(r.Context(), id, r.PostForm.Get("key"))
	case "refuse":
		err = h.refuseKey(r.Context(), id)
	default:
		if _, err = h.Store.Server(r.Context(), principal(r).WorkspaceID, id); err == nil {
			err = cronium.Errorf(cronium.CodeInvalid, "Choose whether the key is accepted or refused.")
		}
	}
	return h.afterServer(w, r, backToServer(id, "key"), err)
}

// acceptKey pins the key that a host shows, given as base64 or as known_hosts
// writes it.
func (h *Handlers) acceptKey(ctx context.Context, id cronium.ID, text string) error {
	p := who(ctx)
	s, err := h.Store.Server(ctx, p.WorkspaceID, id)
	if err != nil {
		return err
	}
	key, ok := parseHostKey(text)
	var problems cronium.Problems
	problems.Add(ok, "key", "must be the public key that the host shows, like ssh-ed25519 AAAA…")
	if err := problems.Err("The key"); err != nil {
		return err
	}
	if err := h.Store.PinHostKey(ctx, p.WorkspaceID, id, key, p.DisplayName()); err != nil {
		return err
	}
	h.serverChanged(ctx, "host key accepted: "+ssh.Fingerprint(key), s)
	return nil
}

func (h *Handlers) refuseKey(ctx context.Context, id cronium.ID) error {
	p := who(ctx)
	s, err := h.Store.Server(ctx, p.WorkspaceID, id)
	if err != nil {
		return err
	}
	if err := h.Store.RefuseHostKey(ctx, p.WorkspaceID, id); err != nil {
		return err
	}
	h.serverChanged(ctx, "host key refused", s)
	return nil
}

func (h *Handlers) archiveServerByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	err = h.archiveServer(r.Context(), id, r.PostForm.Get("archived") == "true")
	return h.afterServer(w, r, "/servers/"+id.String(), err)
}

func (h *Handlers) archiveServer(ctx context.Context, id cronium.ID, archived bool) error {
	p := who(ctx)
	s, err := h.Store.Server(ctx, p.WorkspaceID, id)
	if err != nil {
		return err
	}
	if err := h.Store.ArchiveServer(ctx, p.WorkspaceID, id, archived); err != nil {
		return err
	}
	what := "archived"
	if !archived {
		what = "taken back into use"
	}
	h.serverChanged(ctx, what, s)
	return nil
}

func (h *Handlers) deleteServerByForm(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	return h.afterServer(w, r, "/servers?done=deleted", h.deleteServer(r.Context(), id))
}

// removeAgents takes what Cronium put on a server off it: of its login, and of
// each user that scripts ran as there, while sudo still allows that. What cannot
// be removed stays, and the log says so.
func (h *Handlers) removeAgents(ctx context.Context, s *cronium.Server) error {
	users, err := h.Store.UsersOnServer(ctx, s.WorkspaceID, s.ID)
	if err != nil {
		return err
	}
	remove, cancel := context.WithTimeout(ctx, removeLimit)
	defer cancel()
	for _, user := range append([]string{""}, users...) {
		if user == s.Login {
			continue
		}
		if err := h.Tester.Remove(remove, s.ID, user); err != nil {
			h.Log.InfoContext(ctx, "the agent stays on a server that is deleted", "server", s.ID, "name", s.Name, "user", user, "error", err)
			if user == "" && cronium.CodeOf(err) != cronium.CodeConflict {
				return nil // nothing is reached there
			}
		}
	}
	return nil
}

// deleteServer takes the agent off a server, as far as it is reached, and forgets
// it.
func (h *Handlers) deleteServer(ctx context.Context, id cronium.ID) error {
	p := who(ctx)
	s, err := h.Store.Server(ctx, p.WorkspaceID, id)
	if err != nil {
		return err
	}
	if err := h.Store.MayDeleteServer(ctx, p.WorkspaceID, id); err != nil {
		return err
	}
	if h.Tester != nil && s.Kind == cronium.ServerSSH && s.ArchivedAt == nil && len(s.HostKey) > 0 {
		if err := h.removeAgents(ctx, s); err != nil {
			return err
		}
	}
	if err := h.Store.DeleteServer(ctx, p.WorkspaceID, id); err != nil {
		return err
	}
	h.serverChanged(ctx, "deleted", s)
	return nil
}
