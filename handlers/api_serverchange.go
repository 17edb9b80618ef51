package handlers

import (
	"context"
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/inventory"
	"cronium.dev/views"
)

// ServerFields are what a program says of a server over SSH. What is nil is not
// said.
type ServerFields struct {
	Name        *string            `json:"name,omitempty" doc:"1 to 63 letters, digits, dots, underscores or hyphens"`
	Description *string            `json:"description,omitempty" doc:"At most 2,000 characters"`
	Environment *string            `json:"environment,omitempty" doc:"A word like prod"`
	Tags        *map[string]string `json:"tags,omitempty" doc:"All of them: those that are not sent are removed"`
	Address     *string            `json:"address,omitempty" doc:"Host name or IP address"`
	Port        *int               `json:"port,omitempty" minimum:"1" maximum:"65535" doc:"22 where it is not given"`
	User        *string            `json:"user,omitempty" doc:"To sign in as"`
	Jumps       *[]string          `json:"jumps,omitempty" doc:"Names or ids of servers to go through, the first one first"`
	HostKey     *string            `json:"host_key,omitempty" doc:"The host's public key as known_hosts has it, confirmed by you"`
	Password    *string            `json:"password,omitempty" writeOnly:"true"`
	PrivateKey  *string            `json:"private_key,omitempty" writeOnly:"true" doc:"In OpenSSH's or PEM's form; password and private_key together replace what is stored"`
	Passphrase  *string            `json:"passphrase,omitempty" writeOnly:"true" doc:"Of the private key"`
}

// over is what was said over how the server is.
func (f *ServerFields) over(s *cronium.Server) serverInput {
	in := serverInput{
		Name: s.Name, Description: s.Description, Environment: s.Environment, Tags: s.Tags, Address: s.Address, Port: s.Port, User: s.Login,
	}
	for _, id := range s.Jumps {
		in.Jumps = append(in.Jumps, id.String())
	}
	if in.Port == 0 {
		in.Port = 22
	}
	said(&in.Name, f.Name)
	said(&in.Description, f.Description)
	said(&in.Environment, f.Environment)
	said(&in.Tags, f.Tags)
	said(&in.Address, f.Address)
	said(&in.Port, f.Port)
	said(&in.User, f.User)
	said(&in.Jumps, f.Jumps)
	said(&in.HostKey, f.HostKey)
	said(&in.Password, f.Password)
	said(&in.PrivateKey, f.PrivateKey)
	said(&in.Passphrase, f.Passphrase)
	return in
}

func said[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}

type createServerInput struct {
	Body ServerFields
}

func (a *api) createServer(ctx context.Context, in *createServerInput) (*serverOutput, error) {
	s := &cronium.Server{ID: cronium.NewID(), WorkspaceID: who(ctx).WorkspaceID, Kind: cronium.ServerSSH}
	if err := a.saveServer(ctx, s, in.Body.over(s)); err != nil {
		return nil, err
	}
	return a.oneServer(ctx, s.ID, apiPrefix+"/servers/"+s.ID.String())
}

type updateServerInput struct {
	ServerID
	IfMatch string `header:"If-Match" doc:"The ETag that was read"`
	Body    struct {
		ServerFields
		Archived *bool `json:"archived,omitempty" doc:"Takes it out of use, or back into it"`
	}
}

func (a *api) updateServer(ctx context.Context, in *updateServerInput) (*serverOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	s, err := a.Store.Server(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	if in.IfMatch != "" {
		version, err := matched(in.IfMatch)
		if err != nil {
			return nil, err
		}
		if s.Version != version {
			return nil, a.changedSince(ctx, s, in.Body.over(s))
		}
	}
	archive := func(archived bool) error {
		if in.Body.Archived == nil || *in.Body.Archived != archived || archived == (s.ArchivedAt != nil) {
			return nil
		}
		if err := a.archiveServer(ctx, id, archived); err != nil {
			return err
		}
		s, err = a.Store.Server(ctx, s.WorkspaceID, id)
		return err
	}
	if err := archive(false); err != nil {
		return nil, err
	}
	if in.Body.ServerFields != (ServerFields{}) {
		if err := a.changeServer(ctx, s, in.Body.over(s)); err != nil {
			return nil, err
		}
	}
	if err := archive(true); err != nil {
		return nil, err
	}
	return a.oneServer(ctx, id, "")
}

// changedSince refuses what was said of an older version of a server.
func (a *api) changedSince(ctx context.Context, s *cronium.Server, in serverInput) error {
	change := *s
	signIn, _, err := a.apply(ctx, in, &change)
	if err != nil {
		return err
	}
	if signIn != nil {
		signIn.Wipe()
	}
	return s.ChangedSince(&change)
}

type tryInput struct {
	Body struct {
		ServerFields
		ID string `json:"id,omitempty" doc:"Of a server that is there"`
	}
}

type tryOutput struct {
	Body struct {
		OK      bool        `json:"ok" doc:"Everything works"`
		Error   string      `json:"error,omitempty" doc:"Why not, for a person"`
		HostKey *apiHostKey `json:"host_key,omitempty" doc:"The key that the host showed"`
		Steps   []apiStep   `json:"steps" doc:"In their order, up to the one that failed"`
	}
}

type apiStep struct {
	Name   string  `json:"name" doc:"resolve, connect, host key, authenticate, platform, disk or agent"`
	Host   string  `json:"host,omitempty" doc:"A jump host; absent for the server itself"`
	OK     bool    `json:"ok"`
	Detail string  `json:"detail,omitempty"`
	Error  string  `json:"error,omitempty"`
	TookMS float64 `json:"took_ms"`
}

func (a *api) tryConnection(ctx context.Context, in *tryInput) (*tryOutput, error) {
	s := &cronium.Server{ID: cronium.NewID(), WorkspaceID: who(ctx).WorkspaceID, Kind: cronium.ServerSSH}
	if in.Body.ID != "" {
		id, err := apiID(in.Body.ID)
		if err != nil {
			return nil, err
		}
		if s, err = a.Store.Server(ctx, s.WorkspaceID, id); err != nil {
			return nil, err
		}
	}
	input := in.Body.over(s)
	if s.Address != input.Address || s.Port != input.Port {
		s.HostKey = nil
	}
	signIn, _, err := a.apply(ctx, input, s)
	if err != nil {
		return nil, err
	}
	if signIn != nil {
		defer signIn.Wipe()
	}
	var last views.ServerTest
	a.tryServer(ctx, s, signIn, func(t views.ServerTest) { last = t })
	out := &tryOutput{}
	out.Body.OK, out.Body.Error, out.Body.Steps = last.Problem == "", last.Problem, []apiStep{}
	if key, ok := parseHostKey(last.Key); ok {
		out.Body.HostKey = hostKeyOf(key, "", nil)
	}
	for _, step := range last.Steps {
		out.Body.Steps = append(out.Body.Steps, apiStep{step.Name, step.Host, step.Done && step.Problem == "", step.Detail, step.Problem, float64(step.Took) / float64(time.Millisecond)})
	}
	return out, nil
}

func (a *api) importOperations() {
	add(a, operation{method: http.MethodPost, path: "/servers/import/preview", permission: cronium.PermissionAdmin, id: "preview-import", tag: "Servers",
		summary: "What becomes of an SSH configuration or an Ansible inventory"}, a.previewImport)
	add(a, operation{method: http.MethodPost, path: "/servers/import", permission: cronium.PermissionAdmin, id: "import-servers", tag: "Servers",
		summary: "Make the servers of an SSH configuration or an Ansible inventory", description: "Those that the preview says can be made. Each has the password or private key that is sent, sealed. Nothing runs there before the host keys are accepted."}, a.importText)
}

// ImportFields are a text to be imported.
type ImportFields struct {
	Kind string `json:"kind,omitempty" enum:"ssh_config,inventory" doc:"Required"`
	Text string `json:"text,omitempty" doc:"Required: at most 1 MiB"`
	User string `json:"user,omitempty" doc:"Where the text names none"`
}

type previewInput struct{ Body ImportFields }

type importInput struct {
	Body struct {
		ImportFields
		Password   string `json:"password,omitempty" writeOnly:"true"`
		PrivateKey string `json:"private_key,omitempty" writeOnly:"true"`
		Passphrase string `json:"passphrase,omitempty" writeOnly:"true"`
	}
}

type importOutput struct {
	Body struct {
		Servers []apiPlan        `json:"servers"`
		Ignored []apiIgnoredLine `json:"ignored" doc:"Lines that become nothing"`
	}
}

type apiPlan struct {
	Line        int               `json:"line"`
	ID          *cronium.ID       `json:"id,omitempty" doc:"Of the server that was made"`
	Name        string            `json:"name"`
	Address     string            `json:"address"`
	Port        int               `json:"port"`
	User        string            `json:"user"`
	Environment string            `json:"environment"`
	Tags        map[string]string `json:"tags"`
	Jumps       []string          `json:"jumps"`
	Exists      bool              `json:"exists" doc:"There is a server of that name: it stays as it is"`
	Notes       []string          `json:"notes" doc:"What is not taken over"`
	Problems    []string          `json:"problems" doc:"Why it cannot be made"`
}

type apiIgnoredLine struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

func (a *api) previewImport(ctx context.Context, in *previewInput) (*importOutput, error) {
	plans, ignored, err := a.planImport(ctx, importRequest{Kind: in.Body.Kind, Text: in.Body.Text, User: in.Body.User})
	if err != nil {
		return nil, err
	}
	return importOf(plans, ignored, nil), nil
}

func (a *api) importText(ctx context.Context, in *importInput) (*importOutput, error) {
	plans, ignored, err := a.planImport(ctx, importRequest{Kind: in.Body.Kind, Text: in.Body.Text, User: in.Body.User})
	if err != nil {
		return nil, err
	}
	made, err := a.makeServers(ctx, plans, serverInput{Password: in.Body.Password, PrivateKey: in.Body.PrivateKey, Passphrase: in.Body.Passphrase})
	if err != nil {
		return nil, err
	}
	return importOf(plans, ignored, made), nil
}

func importOf(plans []views.ServerPlan, ignored []inventory.Note, made []*cronium.Server) *importOutput {
	ids := map[string]*cronium.ID{}
	for _, s := range made {
		ids[s.Name] = &s.ID
	}
	out := &importOutput{}
	out.Body.Servers, out.Body.Ignored = make([]apiPlan, 0, len(plans)), make([]apiIgnoredLine, 0, len(ignored))
	for _, p := range plans {
		plan := apiPlan{Line: p.Line, Name: p.Name, Address: p.Address, Port: p.Port, User: p.User, Environment: p.Environment, Tags: p.Tags,
			Jumps: shownList(p.Jumps), Exists: p.Exists, Notes: shownList(p.Notes), Problems: shownList(p.Problems)}
		if !p.Exists && len(p.Problems) == 0 {
			plan.ID = ids[p.Name]
		}
		out.Body.Servers = append(out.Body.Servers, plan)
	}
	for _, n := range ignored {
		out.Body.Ignored = append(out.Body.Ignored, apiIgnoredLine(n))
	}
	return out
}

// shownList is a list that JSON shows as one when it is empty.
func shownList(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
