package handlers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// apiTerminal is a terminal as the API shows it.
type apiTerminal struct {
	ID        cronium.ID  `json:"id"`
	ServerID  *cronium.ID `json:"server_id,omitempty"`
	EventID   *cronium.ID `json:"event_id,omitempty" doc:"It is in a container of this event's image"`
	Target    string      `json:"target" doc:"The name of the server or of the event, as it was"`
	UserName  string      `json:"user_name"`
	Address   string      `json:"address,omitempty" doc:"From where it was opened"`
	StartedAt time.Time   `json:"started_at"`
	EndedAt   *time.Time  `json:"ended_at,omitempty"`
	Ending    string      `json:"ending,omitempty" doc:"How it ended"`
	Bytes     int64       `json:"bytes" doc:"Of the shell's output that are recorded"`
}

func terminalOf(t *cronium.Terminal) apiTerminal {
	return apiTerminal{ID: t.ID, ServerID: t.ServerID, EventID: t.EventID, Target: t.Target, UserName: t.UserName, Address: t.Address,
		StartedAt: t.StartedAt, EndedAt: t.EndedAt, Ending: t.Ending, Bytes: t.Bytes}
}

func (a *api) terminalOperations() {
	add(a, operation{method: http.MethodPost, path: "/servers/{id}/terminals", permission: cronium.PermissionTerminal, id: "open-terminal", tag: "Terminals", status: http.StatusCreated,
		summary: "Open a terminal on a server", description: "Join it with a WebSocket at /terminals/{id}/socket, with the same token: binary messages are what is typed and shown, text messages are JSON: {\"type\": \"size\", \"columns\": 80, \"rows\": 24}, {\"type\": \"close\"}; answers are {\"type\": \"opened\" | \"end\" | \"error\", \"text\": …}, with \"again\": true where another try may succeed. A shell without a connection waits five minutes."}, a.openTerminal)
	add(a, operation{method: http.MethodPost, path: "/events/{id}/terminals", permission: cronium.PermissionTerminal, id: "open-event-terminal", tag: "Terminals", status: http.StatusCreated,
		summary: "Open a terminal in a container of an event's image", description: "The container is made when the terminal is joined, as one of a run would be, with the files and environment variables of the current version and without any secret. It is removed when the shell ends. Joined as a terminal on a server; {\"type\": \"doing\", \"text\": …} tells what takes long before it is there."}, a.openEventTerminal)
	add(a, operation{method: http.MethodGet, path: "/terminals", permission: cronium.PermissionTerminal, id: "list-terminals", tag: "Terminals",
		summary: "List terminals, the newest first"}, a.listTerminals)
	add(a, operation{method: http.MethodGet, path: "/terminals/{id}", permission: cronium.PermissionTerminal, id: "get-terminal", tag: "Terminals",
		summary: "Get a terminal"}, a.getTerminal)
	add(a, operation{method: http.MethodGet, path: "/terminals/{id}/recording", permission: cronium.PermissionTerminal, id: "get-recording", tag: "Terminals", kind: KindStream,
		summary:   "Read a recording as asciicast v2",
		responses: map[string]*huma.Response{"200": {Description: "A line of JSON for each piece of output", Content: map[string]*huma.MediaType{"application/x-asciicast": {Schema: &huma.Schema{Type: "string"}}}}}}, a.getRecording)
}

type openTerminalInput struct {
	ID   string `path:"id"`
	Body struct {
		Columns int `json:"columns,omitempty" minimum:"10" maximum:"1000" default:"80"`
		Rows    int `json:"rows,omitempty" minimum:"3" maximum:"1000" default:"24"`
	}
}

type terminalOutput struct {
	Body apiTerminal
}

func (a *api) openTerminal(ctx context.Context, in *openTerminalInput) (*terminalOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	p := who(ctx)
	server, err := a.Store.Server(ctx, p.WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	if server.ArchivedAt != nil {
		return nil, cronium.Errorf(cronium.CodeConflict, "The server is archived. Take it back into use before you open a terminal on it.")
	}
	if a.Terminals == nil {
		return nil, cronium.Errorf(cronium.CodeUnavailable, "This server process opens no terminals.")
	}
	return a.createTerminal(ctx, in, &cronium.Terminal{ServerID: &server.ID, Target: server.Name})
}

// createTerminal stores a terminal of who asks.
func (a *api) createTerminal(ctx context.Context, in *openTerminalInput, t *cronium.Terminal) (*terminalOutput, error) {
	p := who(ctx)
	t.ID, t.WorkspaceID, t.UserID, t.UserName, t.Address = cronium.NewID(), p.WorkspaceID, p.UserID, p.DisplayName(), askedFrom(ctx)
	t.Width, t.Height = in.Body.Columns, in.Body.Rows
	if err := a.Store.CreateTerminal(ctx, t); err != nil {
		return nil, err
	}
	return &terminalOutput{terminalOf(t)}, nil
}

// mostContainers bounds the containers of terminals that a workspace has at once:
// each takes the memory that the event's limits allow.
const mostContainers = 20

func (a *api) openEventTerminal(ctx context.Context, in *openTerminalInput) (*terminalOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	event, err := a.containerEvent(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	if a.Terminals == nil || a.Terminals.Containers == nil {
		return nil, cronium.Errorf(cronium.CodeUnavailable, "This server process opens no terminals in containers.")
	}
	open, err := a.Store.ContainerTerminals(ctx, event.WorkspaceID)
	if err != nil {
		return nil, err
	}
	if open >= mostContainers {
		return nil, cronium.Errorf(cronium.CodeConflict, "%d terminals in containers are open in this workspace. Close one of them first.", open)
	}
	return a.createTerminal(ctx, in, &cronium.Terminal{EventID: &event.ID, Target: event.Name})
}

// containerEvent finds an event of which a terminal can be opened.
func (h *Handlers) containerEvent(ctx context.Context, workspace, id cronium.ID) (*cronium.Event, error) {
	event, err := h.Store.Event(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	if event.Status == cronium.EventArchived {
		return nil, cronium.Errorf(cronium.CodeConflict, "The event is archived. Bring it back before you open a terminal in its image.")
	}
	version, err := h.Store.EventVersion(ctx, workspace, id, event.Version)
	if err != nil {
		return nil, err
	}
	if version.Content.Target != cronium.TargetContainer {
		return nil, cronium.Errorf(cronium.CodeConflict, "This event runs in no container. Open a terminal on one of its servers.")
	}
	return event, nil
}

type listTerminalsInput struct {
	ListInput
	ServerID string `query:"server_id" doc:"On this server alone"`
	EventID  string `query:"event_id" doc:"In containers of this event's image alone"`
}

type terminalsOutput struct {
	ListHead
	Body struct {
		Terminals []apiTerminal `json:"terminals"`
		Next      string        `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

func (a *api) listTerminals(ctx context.Context, in *listTerminalsInput) (*terminalsOutput, error) {
	filter := store.TerminalFilter{Limit: in.Limit + 1}
	if in.ServerID != "" {
		id, err := apiID(in.ServerID)
		if err != nil {
			return nil, err
		}
		filter.ServerID = &id
	}
	if in.EventID != "" {
		id, err := apiID(in.EventID)
		if err != nil {
			return nil, err
		}
		filter.EventID = &id
	}
	var before cronium.ID
	given, err := decodeCursor(in.Cursor, &before)
	if err != nil {
		return nil, err
	}
	if given {
		filter.Before = &before
	}
	list, err := a.Store.Terminals(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	out := &terminalsOutput{}
	if len(list) > in.Limit {
		list = list[:in.Limit]
		out.Body.Next = encodeCursor(list[in.Limit-1].ID)
	}
	out.Link = in.nextLink(out.Body.Next)
	out.Body.Terminals = make([]apiTerminal, 0, len(list))
	for i := range list {
		out.Body.Terminals = append(out.Body.Terminals, terminalOf(&list[i]))
	}
	return out, nil
}

type terminalInput struct {
	ID string `path:"id"`
}

func (a *api) getTerminal(ctx context.Context, in *terminalInput) (*terminalOutput, error) {
	t, err := a.terminal(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &terminalOutput{terminalOf(t)}, nil
}

func (a *api) terminal(ctx context.Context, text string) (*cronium.Terminal, error) {
	id, err := apiID(text)
	if err != nil {
		return nil, err
	}
	return a.Store.Terminal(ctx, who(ctx).WorkspaceID, id)
}

func (a *api) getRecording(ctx context.Context, in *terminalInput) (*huma.StreamResponse, error) {
	t, err := a.terminal(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if a.Terminals == nil {
		return nil, cronium.ErrNotFound
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "application/x-asciicast")
		c.SetHeader("Content-Disposition", `attachment; filename="`+t.ID.String()+`.cast"`)
		if err := a.Terminals.Cast(c.Context(), t, c.BodyWriter()); err != nil {
			a.Log.WarnContext(ctx, "a recording was not read to its end", "terminal", t.ID, "error", err)
			panic(http.ErrAbortHandler) // cut, so that nobody takes it for whole
		}
	}}, nil
}
