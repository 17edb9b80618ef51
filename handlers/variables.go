package handlers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// mostChoices is how many events the form of a variable offers.
const mostChoices = 1000

// variableBytes is the most that the form may send: the value, encoded for a form.
const variableBytes = 4 << 20

func (h *Handlers) variableRoutes() []Route {
	page := func(method, pattern string, permission cronium.Permission, handle Handler) Route {
		return Route{Method: method, Pattern: pattern, Permission: permission, Kind: KindPage, Handle: handle, MaxBody: variableBytes}
	}
	return []Route{
		page(http.MethodGet, "/variables", cronium.PermissionRead, h.variablesPage),
		page(http.MethodPost, "/variables", cronium.PermissionWrite, h.addVariable),
		page(http.MethodGet, "/variables/new", cronium.PermissionWrite, h.newVariablePage),
		page(http.MethodGet, "/variables/{id}", cronium.PermissionRead, h.variablePage),
		page(http.MethodPost, "/variables/{id}", cronium.PermissionWrite, h.saveVariable),
		page(http.MethodPost, "/variables/{id}/delete", cronium.PermissionWrite, h.deleteVariable),
	}
}

func (h *Handlers) variablesFrame(r *http.Request, title string, path ...layout.Crumb) (layout.Frame, error) {
	f, err := h.counted(r, title, layout.NavVariables, path...)
	if r.URL.Query().Get("done") == "deleted" {
		f.Said = "The variable is deleted."
	}
	return f, err
}

// variablesPage is the list of variables.
func (h *Handlers) variablesPage(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	workspace := principal(r).WorkspaceID
	page := views.Variables{Query: query.Get("q"), Sort: "key", After: query.Get("after")}
	if query.Get("sort") == "changed" {
		page.Sort = "changed"
	}
	var err error
	if page.Frame, err = h.variablesFrame(r, "Variables"); err != nil {
		return err
	}
	if page.Environments, err = h.Store.VariableEnvironments(r.Context(), workspace); err != nil {
		return err
	}
	filter, problems := variableFilter(page.Query)
	page.Problems, filter.Sort, filter.Limit = problems, store.VariableSort(page.Sort), pageRows+1
	if filter.Event != (cronium.ID{}) {
		e, err := h.Store.Event(r.Context(), workspace, filter.Event)
		if err != nil {
			return err
		}
		page.Event = e.Name
	}
	var after store.VariableCursor
	// An address that was cut short begins at the first page.
	if given, err := decodeCursor(page.After, &after); given && err == nil {
		filter.After = &after
	} else {
		page.After = ""
	}
	rows, err := h.Store.Variables(r.Context(), workspace, filter)
	if err != nil {
		return err
	}
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		page.Next = encodeCursor(rows[pageRows-1].Cursor())
	}
	for _, row := range rows {
		page.Rows = append(page.Rows, views.VariableRow(row))
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// variableFilter reads the filter of the list: words like is:secret, and words of
// names. What is not understood is left out and named in problems.
func variableFilter(query string) (filter store.VariableFilter, problems []string) {
	rest := serverWord.ReplaceAllStringFunc(query, func(word string) string {
		parts := serverWord.FindStringSubmatch(word)
		key, value := strings.ToLower(parts[2]), strings.Trim(parts[3], `"`)
		switch {
		case key == "is" && (value == "secret" || value == "plain"):
			secret := value == "secret"
			filter.Secret = &secret
		case key == "env":
			environment := strings.TrimSuffix(value, "-") // env:- is for all
			filter.Environment = &environment
		case key == "type":
			filter.Type = cronium.VariableType(strings.ToUpper(value))
		case key == "event":
			id, ok := cronium.ParseID(value)
			if !ok {
				problems = append(problems, fmt.Sprintf("“event:%s” is not an event's id.", value))
			}
			filter.Event = id
		default:
			problems = append(problems, fmt.Sprintf("“%s” is not understood. Known are is:secret, is:plain, env:prod, type:json and event: with an id.", strings.TrimSpace(word)))
		}
		return " "
	})
	filter.Query = strings.Trim(strings.TrimSpace(rest), `"`)
	return filter, problems
}

func (h *Handlers) newVariablePage(w http.ResponseWriter, r *http.Request) error {
	page := views.VariableOne{Form: views.VariableForm{Key: r.URL.Query().Get("key"), Type: string(cronium.VariableString), Kind: "plain", For: "all"}}
	return h.renderVariable(w, r, http.StatusOK, page)
}

// renderVariable fills in what the page shows beside the form.
func (h *Handlers) renderVariable(w http.ResponseWriter, r *http.Request, status int, page views.VariableOne) error {
	workspace := principal(r).WorkspaceID
	title := "Add a variable"
	if page.Variable.ID != (cronium.ID{}) {
		title = page.Variable.Key
	}
	var err error
	if page.Frame, err = h.variablesFrame(r, title, layout.Crumb{Label: "Variables", URL: "/variables"}); err != nil {
		return err
	}
	page.Modules = []string{"js/choose.js"}
	events, err := h.Store.EventNames(r.Context(), workspace, mostChoices)
	if err != nil {
		return err
	}
	for _, e := range events {
		page.Choices = append(page.Choices, views.GrantChoice{ID: e.ID.String(), Name: e.Name, Status: strings.ToLower(string(e.Status))})
	}
	if page.Variable.ID == (cronium.ID{}) {
		return h.render(w, r, status, page.Page())
	}
	if page.History, err = h.Store.VariableHistory(r.Context(), workspace, page.Variable.ID); err != nil {
		return err
	}
	if r.URL.Query().Get("uses") != "" {
		if err := h.findUses(r, &page); err != nil {
			return err
		}
	}
	return h.render(w, r, status, page.Page())
}

func (h *Handlers) findUses(r *http.Request, page *views.VariableOne) error {
	uses, err := h.Store.VariableUses(r.Context(), principal(r).WorkspaceID, page.Variable.Key)
	if err != nil {
		return err
	}
	granted, err := h.Store.VariableGrants(r.Context(), principal(r).WorkspaceID, page.Variable.ID)
	if err != nil {
		return err
	}
	may := map[cronium.ID]bool{}
	for _, e := range granted {
		may[e.ID] = true
	}
	page.Looked = true
	for _, u := range uses {
		page.Uses = append(page.Uses, views.VariableUse{EventID: u.EventID.String(), Name: u.Name, Files: u.Files, Granted: page.Variable.AllEvents || may[u.EventID]})
	}
	return nil
}

// storedVariable is the page of a variable, with its form as it is stored.
func (h *Handlers) storedVariable(r *http.Request) (views.VariableOne, error) {
	id, err := pathID(r, "id")
	if err != nil {
		return views.VariableOne{}, err
	}
	v, err := h.Store.Variable(r.Context(), principal(r).WorkspaceID, id)
	if err != nil {
		return views.VariableOne{}, err
	}
	page := views.VariableOne{Variable: *v, Form: views.FormOfVariable(v)}
	granted, err := h.Store.VariableGrants(r.Context(), v.WorkspaceID, id)
	for _, e := range granted {
		page.Form.Events = append(page.Form.Events, e.ID.String())
	}
	return page, err
}

func (h *Handlers) variablePage(w http.ResponseWriter, r *http.Request) error {
	page, err := h.storedVariable(r)
	if err != nil {
		return err
	}
	return h.renderVariable(w, r, http.StatusOK, page)
}

// variableFormOf reads the form. stored says that there is a secret, so that an
// empty value keeps it.
func variableFormOf(r *http.Request, stored bool) (views.VariableForm, variableChange, cronium.Problems) {
	f := r.PostForm
	form := views.VariableForm{
		Key: strings.TrimSpace(f.Get("key")), Environment: strings.TrimSpace(f.Get("environment")), Description: strings.TrimSpace(f.Get("description")),
		Type: f.Get("type"), Value: lines(f.Get("value")), Kind: f.Get("kind"), For: f.Get("for"), Events: f["events"],
	}
	form.Version, _ = strconv.Atoi(f.Get("version")) // what is no version is refused as an old one
	kind, secret, all := cronium.VariableType(form.Type), form.Kind == "secret", form.For == "all"
	change := variableChange{Key: &form.Key, Environment: &form.Environment, Description: &form.Description, Type: &kind, Secret: &secret, AllEvents: &all, Events: []cronium.ID{}}
	var problems cronium.Problems
	for _, text := range form.Events {
		id, ok := cronium.ParseID(text)
		problems.Add(ok, "events", "must be ids of events")
		change.Events = append(change.Events, id)
	}
	switch {
	case stored && form.Value == "":
	case kind == cronium.VariableString:
		change.Value, _ = json.Marshal(form.Value) // of text it does not fail
	default:
		change.Value = json.RawMessage(strings.TrimSpace(form.Value))
	}
	return form, change, problems
}

func (h *Handlers) addVariable(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	form, change, problems := variableFormOf(r, false)
	err := problems.Err("The variable")
	if err == nil {
		var v *cronium.WorkspaceVariable
		if v, err = h.makeVariable(r.Context(), principal(r), change); err == nil {
			return redirect(w, r, "/variables/"+v.ID.String()+"?done=saved")
		}
	}
	return h.refuseVariable(w, r, views.VariableOne{Form: form}, err)
}

// refuseVariable shows the form again, with what was wrong; a secret is not sent
// back.
func (h *Handlers) refuseVariable(w http.ResponseWriter, r *http.Request, page views.VariableOne, err error) error {
	problems, message, status, ok := formProblems(w, err)
	if !ok {
		return err
	}
	if page.Problems = problems; len(problems) == 0 || status == http.StatusConflict {
		page.Message = message
	}
	if page.Form.Kind == "secret" && page.Form.Value != "" {
		page.Form.Value, page.Retype = "", true
	}
	return h.renderVariable(w, r, status, page)
}

func (h *Handlers) saveVariable(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	page, err := h.storedVariable(r)
	if err != nil {
		return err
	}
	form, change, problems := variableFormOf(r, page.Variable.Secret)
	page.Form = form
	if err = problems.Err("The variable"); err == nil {
		v := page.Variable
		v.Version = form.Version
		if err = h.changeVariable(r.Context(), principal(r), &v, change); err == nil {
			return redirect(w, r, "/variables/"+v.ID.String()+"?done=saved")
		}
	}
	return h.refuseVariable(w, r, page, err)
}

// shownVariables is how many the editor of an event shows.
const shownVariables = 40

// usableVariables adds to the editor which variables the event may use.
func (h *Handlers) usableVariables(r *http.Request, page *views.Event) error {
	rows, err := h.Store.Variables(r.Context(), principal(r).WorkspaceID, store.VariableFilter{Event: page.Event.ID, Limit: shownVariables})
	for _, row := range rows {
		page.Variables = append(page.Variables, views.VariableRow(row))
	}
	return err
}

func (h *Handlers) deleteVariable(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if err := h.Store.DeleteVariable(r.Context(), principal(r).WorkspaceID, id); err != nil {
		return err
	}
	return redirect(w, r, "/variables?done=deleted")
}
