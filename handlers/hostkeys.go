package handlers

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/executor/ssh"
	"cronium.dev/store"
	"cronium.dev/views"
)

// hostKeysPage has the keys that hosts show and nobody has confirmed.
func (h *Handlers) hostKeysPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderHostKeys(w, r, http.StatusOK, views.HostKeys{})
}

func (h *Handlers) renderHostKeys(w http.ResponseWriter, r *http.Request, status int, page views.HostKeys) error {
	var err error
	if page.Frame, err = h.serversFrame(r, "Host keys", serversCrumb()); err != nil {
		return err
	}
	page.Live = "/live?topics=servers"
	workspace := principal(r).WorkspaceID
	if page.Silent, err = h.Store.ServersWithoutKey(r.Context(), workspace); err != nil {
		return err
	}
	rows, err := h.Store.Servers(r.Context(), workspace, store.ServerFilter{Offered: true, Limit: mostSelected})
	if err != nil {
		return err
	}
	page.More = len(rows) == mostSelected
	for i := range rows {
		row := &rows[i]
		key := views.OfferedKey{ServerRow: serverRowOf(row), Key: base64.StdEncoding.EncodeToString(row.OfferedKey), Print: ssh.Fingerprint(row.OfferedKey)}
		if row.HostKey != nil {
			page.Changed = append(page.Changed, key)
		} else {
			page.New = append(page.New, key)
		}
	}
	return h.render(w, r, status, page.Page())
}

// confirmHostKeys pins the keys that were ticked: of each its server's id and the
// key that was shown, so that one that came meanwhile is not taken.
func (h *Handlers) confirmHostKeys(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	keys := map[cronium.ID]string{}
	ids := make([]cronium.ID, 0, len(r.PostForm["key"]))
	for _, value := range r.PostForm["key"] {
		server, key, _ := strings.Cut(value, " ")
		id, ok := cronium.ParseID(server)
		if !ok {
			return cronium.ErrNotFound
		}
		ids, keys[id] = append(ids, id), key
	}
	if len(ids) == 0 || len(ids) > mostSelected {
		return cronium.Errorf(cronium.CodeInvalid, "Tick 1 to %d keys first.", mostSelected)
	}
	ctx := r.Context()
	bulk, status := h.each(r, ids, "confirmed", func(id cronium.ID) error { return h.acceptFirstKey(ctx, id, keys[id]) }, func(id cronium.ID) (string, error) {
		s, err := h.Store.Server(ctx, principal(r).WorkspaceID, id)
		if err != nil {
			return "", err
		}
		return s.Name, nil
	})
	if len(bulk.Refused) == 0 {
		return redirect(w, r, "/servers/keys?done=keys")
	}
	return h.renderHostKeys(w, r, status, views.HostKeys{Bulk: bulk})
}

// acceptFirstKey is acceptKey for a host that has no pinned key yet. One that
// shows another key than it did is looked at alone.
func (h *Handlers) acceptFirstKey(ctx context.Context, id cronium.ID, key string) error {
	s, err := h.Store.Server(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return err
	}
	if s.HostKey != nil && s.OfferedKey != nil {
		return cronium.Errorf(cronium.CodeConflict, "The host key of %s has changed. That is decided on the page of the server.", s.Name)
	}
	return h.acceptKey(ctx, id, key)
}

type acceptKeysInput struct {
	Body struct {
		Keys []struct {
			ID  string `json:"id" doc:"Of the server"`
			Key string `json:"key" doc:"That the host shows, as known_hosts has it"`
		} `json:"keys,omitempty" doc:"Required: 1 to 200"`
	}
}

type acceptKeysOutput struct {
	Body struct {
		Keys []apiKeyOutcome `json:"keys"`
	}
}

type apiKeyOutcome struct {
	ID       string `json:"id"`
	Accepted bool   `json:"accepted"`
	Error    string `json:"error,omitempty" doc:"Why not, for a person"`
}

func (a *api) acceptKeysOperation(ctx context.Context, in *acceptKeysInput) (*acceptKeysOutput, error) {
	var problems cronium.Problems
	problems.Add(len(in.Body.Keys) >= 1 && len(in.Body.Keys) <= mostSelected, "keys", "must be 1 to %d", mostSelected)
	ids := make([]cronium.ID, len(in.Body.Keys))
	for i, one := range in.Body.Keys {
		var ok bool
		ids[i], ok = cronium.ParseID(one.ID)
		problems.Add(ok, fmt.Sprintf("keys[%d].id", i), "must be the id of a server")
	}
	if err := problems.Err("The request"); err != nil {
		return nil, err
	}
	out := &acceptKeysOutput{}
	for i, one := range in.Body.Keys {
		err := a.acceptFirstKey(ctx, ids[i], one.Key)
		if err != nil && cronium.CodeOf(err).Status() >= http.StatusInternalServerError {
			return nil, err
		}
		outcome := apiKeyOutcome{ID: one.ID, Accepted: err == nil}
		if err != nil {
			outcome.Error = toldOf(err)
		}
		out.Body.Keys = append(out.Body.Keys, outcome)
	}
	return out, nil
}
