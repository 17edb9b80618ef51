package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/inventory"
	"cronium.dev/store"
	"cronium.dev/views"
)

// importBytes lets an inventory through, encoded as a form.
const importBytes = 4 << 20

// importRequest is a text and what goes with all of its hosts.
type importRequest struct {
	Kind   string // "ssh_config" or "inventory"
	Text   string
	User   string // where the text names none
	secret serverInput
}

func (h *Handlers) importPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderImport(w, r, http.StatusOK, views.ServersImport{Kind: "ssh_config"})
}

func (h *Handlers) renderImport(w http.ResponseWriter, r *http.Request, status int, page views.ServersImport) error {
	var err error
	if page.Frame, err = h.serversFrame(r, "Import", serversCrumb()); err != nil {
		return err
	}
	return h.render(w, r, status, page.Page())
}

// importServers shows what becomes of a text, or makes it.
func (h *Handlers) importServers(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	form := r.PostForm
	request := importRequest{
		Kind: form.Get("kind"), Text: lines(form.Get("text")), User: strings.TrimSpace(form.Get("user")),
		secret: serverInput{Password: form.Get("password"), PrivateKey: form.Get("private_key"), Passphrase: form.Get("passphrase")},
	}
	page := views.ServersImport{Kind: request.Kind, Text: inventory.Redacted(request.Text), User: request.User}
	plan, ignored, err := h.planImport(r.Context(), request)
	if err == nil && form.Get("act") == "make" {
		if _, err = h.makeServers(r.Context(), plan, request.secret); err == nil {
			return redirect(w, r, "/servers/keys?done=imported")
		}
	}
	status := http.StatusOK
	if err != nil {
		var ok bool
		if page.Problems, page.Message, status, ok = fieldProblems(w, err); !ok {
			return err
		}
	}
	page.Shown, page.Plans = plan != nil, plan
	for _, n := range ignored {
		page.Ignored = append(page.Ignored, views.ImportNote(n))
	}
	return h.renderImport(w, r, status, page)
}

// planImport reads a text, and checks each host as a server would be checked. A
// plan that is nil could not be read.
func (h *Handlers) planImport(ctx context.Context, request importRequest) ([]views.ServerPlan, []inventory.Note, error) {
	read := map[string]func(string) (*inventory.Plan, error){"ssh_config": inventory.SSHConfig, "inventory": inventory.Ansible}[request.Kind]
	var problems cronium.Problems
	problems.Add(read != nil, "kind", "must be ssh_config or inventory")
	problems.Add(strings.TrimSpace(request.Text) != "", "text", "must be there: paste what is to be imported")
	if err := problems.Err("The import"); err != nil {
		return nil, nil, err
	}
	plan, err := read(request.Text)
	if err != nil {
		return nil, nil, err
	}
	existing, err := h.Store.ServersMatching(ctx, who(ctx).WorkspaceID)
	if err != nil {
		return nil, nil, err
	}
	return planned(plan, existing, request.User), plan.Ignored, nil
}

// planned is what becomes of each host.
func planned(plan *inventory.Plan, existing []store.SelectableServer, user string) []views.ServerPlan {
	kinds := map[string]cronium.ServerKind{} // of servers that are here
	for _, s := range existing {
		kinds[strings.ToLower(s.Name)] = s.Kind
	}
	plans := make([]views.ServerPlan, 0, len(plan.Hosts))
	named := map[string]bool{}
	for _, host := range plan.Hosts {
		p := views.ServerPlan{
			Line: host.Line, Name: host.Name, Address: host.Address, Port: host.Port, User: host.User, Environment: host.Environment,
			Tags: host.Tags, Jumps: host.Jumps, Notes: host.Notes, Problems: host.Problems,
		}
		if p.Port == 0 {
			p.Port = 22
		}
		if p.User == "" {
			p.User = user
		}
		name := strings.ToLower(p.Name)
		if _, p.Exists = kinds[name]; named[name] {
			p.Problems, p.Exists = append(p.Problems, "Another line has this name."), false
		}
		named[name] = true
		server := cronium.Server{Name: p.Name, Kind: cronium.ServerSSH, Address: p.Address, Port: p.Port, Login: p.User, Environment: p.Environment, Tags: p.Tags}
		for _, problem := range server.Validate() {
			if problem.Field == "user" && p.User == "" {
				problem.Message = "is not said: give one above"
			}
			p.Problems = append(p.Problems, "Its "+problem.Field+" "+problem.Message+".")
		}
		plans = append(plans, p)
	}
	checkPlannedJumps(plans, kinds)
	return plans
}

// checkPlannedJumps refuses hosts whose jump hosts will not be there. One that
// falls may take others along.
func checkPlannedJumps(plans []views.ServerPlan, here map[string]cronium.ServerKind) {
	for again := true; again; {
		again = false
		there := map[string]bool{}
		for name, kind := range here {
			there[name] = kind == cronium.ServerSSH
		}
		for _, p := range plans {
			if len(p.Problems) == 0 && !p.Exists {
				there[strings.ToLower(p.Name)] = true
			}
		}
		for i := range plans {
			for _, jump := range plans[i].Jumps {
				if len(plans[i].Problems) == 0 && !there[strings.ToLower(jump)] {
					plans[i].Problems = append(plans[i].Problems, "Its jump host "+jump+" is no server here and becomes none.")
					again = true
				}
			}
		}
	}
}

// makeServers makes those that can be made, jump hosts before what is reached
// through them, and gives them.
func (h *Handlers) makeServers(ctx context.Context, plans []views.ServerPlan, secret serverInput) (made []*cronium.Server, err error) {
	var problems cronium.Problems
	// Wrong for one is wrong for all: told before any is made.
	if signIn, _ := secret.signIn(&problems); signIn != nil {
		signIn.Wipe()
	}
	if err := problems.Err("The import"); err != nil {
		return nil, err
	}
	todo := slices.DeleteFunc(slices.Clone(plans), func(p views.ServerPlan) bool { return len(p.Problems) > 0 || p.Exists })
	for len(todo) > 0 {
		waiting := map[string]bool{}
		for _, p := range todo {
			waiting[strings.ToLower(p.Name)] = true
		}
		var later []views.ServerPlan
		for _, p := range todo {
			if slices.ContainsFunc(p.Jumps, func(j string) bool { return waiting[strings.ToLower(j)] }) {
				later = append(later, p)
				continue
			}
			s, err := h.makeServer(ctx, p, secret)
			if err != nil {
				return made, err
			}
			made = append(made, s)
			delete(waiting, strings.ToLower(p.Name))
		}
		if len(later) == len(todo) {
			return made, cronium.Errorf(cronium.CodeInvalid, "The jump hosts of %s lead in a circle, so it was not made.", later[0].Name)
		}
		todo = later
	}
	return made, nil
}

func (h *Handlers) makeServer(ctx context.Context, p views.ServerPlan, secret serverInput) (*cronium.Server, error) {
	in := secret
	in.Name, in.Address, in.Port, in.User, in.Environment, in.Tags, in.Jumps = p.Name, p.Address, p.Port, p.User, p.Environment, p.Tags, p.Jumps
	s := &cronium.Server{ID: cronium.NewID(), WorkspaceID: who(ctx).WorkspaceID, Kind: cronium.ServerSSH}
	return s, h.saveServer(ctx, s, in)
}
