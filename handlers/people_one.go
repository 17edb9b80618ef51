package handlers

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

func (h *Handlers) personPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	return h.renderPerson(w, r, http.StatusOK, id, views.PersonPage{})
}

func (h *Handlers) renderPerson(w http.ResponseWriter, r *http.Request, status int, id cronium.ID, page views.PersonPage) error {
	person, err := h.Store.Person(r.Context(), principal(r).WorkspaceID, id)
	if err != nil {
		return err
	}
	if page.Frame, err = h.peopleFrame(r, person.Name, layout.Crumb{Label: "People", URL: "/people"}); err != nil {
		return err
	}
	page.Person, page.Now = personOf(person), time.Now()
	return h.render(w, r, status, page.Page())
}

// changePerson makes one change of the person whom the address names. What was
// refused is said on their page; else the browser is sent on.
func (h *Handlers) changePerson(w http.ResponseWriter, r *http.Request, page views.PersonPage, what, next string, change func(p *cronium.Principal, id cronium.ID) error) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	err = change(principal(r), id)
	if problems, message, status, ok := formProblems(w, err); ok {
		page.Link, page.Problems = nil, problems
		if len(problems) == 0 {
			page.Message = message
		}
		return h.renderPerson(w, r, status, id, page)
	}
	if err != nil {
		return err
	}
	h.peopleChanged(r, what, id)
	if page.Link != nil {
		return h.renderPerson(w, r, http.StatusOK, id, page)
	}
	if next == "" {
		next = "/people/" + id.String() + "?done=" + what
	}
	return redirect(w, r, next)
}

func (h *Handlers) setRoleByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	role, next := cronium.Role(r.PostForm.Get("role")), ""
	if chi.URLParam(r, "id") == principal(r).UserID.String() && role != cronium.RoleAdmin {
		next = "/settings/profile" // the pages about people are not for them any more
	}
	return h.changePerson(w, r, views.PersonPage{Chosen: role}, "role", next, func(p *cronium.Principal, id cronium.ID) error {
		return h.setRole(r, p, id, role)
	})
}

func (h *Handlers) setRole(r *http.Request, p *cronium.Principal, id cronium.ID, role cronium.Role) error {
	if err := cronium.ValidateRole(role).Err("The role"); err != nil {
		return err
	}
	return h.Store.SetRole(r.Context(), p.WorkspaceID, p.UserID, id, role)
}

// makeLinkByForm answers with the page that shows the link, once.
func (h *Handlers) makeLinkByForm(w http.ResponseWriter, r *http.Request) error {
	code, link := auth.NewPasswordLink(principal(r).UserName, time.Now())
	page := views.PersonPage{Link: h.linkOf(r, code, link)}
	return h.changePerson(w, r, page, "linked", "", func(p *cronium.Principal, id cronium.ID) error {
		return h.Store.PutPasswordLink(r.Context(), p.WorkspaceID, p.UserID, id, link)
	})
}

func (h *Handlers) endSessionsOfPerson(w http.ResponseWriter, r *http.Request) error {
	return h.changePerson(w, r, views.PersonPage{}, "ended", "", func(p *cronium.Principal, id cronium.ID) error {
		return h.Store.EndPersonsSessions(r.Context(), p.WorkspaceID, p.UserID, id)
	})
}

func (h *Handlers) removePersonByForm(w http.ResponseWriter, r *http.Request) error {
	return h.changePerson(w, r, views.PersonPage{}, "removed", "/people?done=removed", func(p *cronium.Principal, id cronium.ID) error {
		return h.Store.RemovePerson(r.Context(), p.WorkspaceID, p.UserID, id)
	})
}
