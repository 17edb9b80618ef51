package handlers_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"cronium.dev/cronium"
)

var linkPattern = regexp.MustCompile(`https?://[^<"\s]+/password#code=([0-9a-z-]{29})`)

// link finds the code of the link that an answer shows.
func link(t *testing.T, a answer) string {
	t.Helper()
	found := linkPattern.FindStringSubmatch(a.text)
	if found == nil {
		t.Fatalf("no link in\n%s", a.text)
	}
	return found[1]
}

func person(name, email, role string) url.Values {
	return url.Values{"name": {name}, "email": {email}, "role": {role}}
}

func TestAPersonIsAddedAndLetInByALink(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	admin := s.signedIn(t, "mira@example.com")
	admin.post("/people", person("", "jo@example", "BOSS")).want(t, http.StatusUnprocessableEntity, "printable characters", "ADMIN, USER or VIEWER", `value="jo@example"`)
	made := admin.post("/people", person(" Jo Berg ", "Jo@Example.com", "USER"))
	made.want(t, http.StatusOK, "Give this link to Jo Berg", "not shown again")
	code := link(t, made)
	list := admin.get("/people")
	list.want(t, http.StatusOK, "Jo Berg", "jo@example.com", "Invited", "never")
	if strings.Contains(list.text, code) || strings.Contains(s.log.String(), code) {
		t.Error("the code is shown again, or logged")
	}
	var rows string
	if err := s.store.Pool().QueryRow(t.Context(), `SELECT string_agg(l::text, ' ') FROM password_links l`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(rows, strings.ReplaceAll(code, "-", "")) || !strings.Contains(rows, "Mira Lund") {
		t.Errorf("the table holds %s", rows)
	}

	jo := s.browser(t)
	jo.get("/password").want(t, http.StatusOK, `name="link_code"`, "js/setup.js")
	form := url.Values{"link_code": {code}, "password": {"short"}}
	jo.post("/password", form).want(t, http.StatusUnprocessableEntity, "10 to 200 characters", code)
	form.Set("password", password)
	if res := jo.post("/password", form); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
		t.Fatalf("set password: %s\n%s", res.Status, res.text)
	}
	jo.get("/settings/profile").want(t, http.StatusOK, "jo@example.com", "make, change and run events")
	jo.get("/people").want(t, http.StatusForbidden)
	s.browser(t).post("/password", form).want(t, http.StatusUnprocessableEntity, "not valid any more")
	admin.post("/people", person("Jo", "jo@example.com", "USER")).want(t, http.StatusUnprocessableEntity, "member here already")
}

func TestANewLinkLetsSomebodyInWhoForgotTheirPassword(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	user := s.add(t, s.home, "user@example.com", cronium.RoleUser)
	old := s.signedIn(t, "user@example.com")
	admin := s.signedIn(t, "mira@example.com")
	code := link(t, admin.post("/people/"+user.ID.String()+"/link", url.Values{}))
	old.get("/settings/profile").want(t, http.StatusOK) // not before it is used
	s.browser(t).post("/password", url.Values{"link_code": {code}, "password": {"quite another password"}}).want(t, http.StatusSeeOther)
	old.get("/settings/profile").want(t, http.StatusSeeOther)
	s.browser(t).post("/signin", signInForm("user@example.com", password)).want(t, http.StatusUnauthorized)
}

func TestRolesAreChangedAndPeopleRemovedInThePages(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	user := s.add(t, s.home, "user@example.com", cronium.RoleUser)
	mira := s.people["mira@example.com"]
	admin, there := s.signedIn(t, "mira@example.com"), s.signedIn(t, "user@example.com")
	page := "/people/" + user.ID.String()
	own := "/people/" + mira.ID.String()
	admin.get(page).want(t, http.StatusOK, "user@example.com", "What user@example.com made stays", "1 session")
	admin.post(page+"/role", url.Values{"role": {"KING"}}).want(t, http.StatusUnprocessableEntity, "ADMIN, USER or VIEWER")
	admin.post(own+"/role", url.Values{"role": {"VIEWER"}}).want(t, http.StatusConflict, "last administrator here")
	admin.post(own+"/remove", url.Values{}).want(t, http.StatusConflict, "last administrator here")

	there.get("/people").want(t, http.StatusForbidden)
	if to := admin.post(page+"/role", url.Values{"role": {"ADMIN"}}).Header.Get("Location"); to != page+"?done=role" {
		t.Fatalf("sent to %q", to)
	}
	there.get("/people").want(t, http.StatusOK)
	there.get(own).want(t, http.StatusOK, "administrator of the whole instance")
	there.post(own+"/link", url.Values{}).want(t, http.StatusForbidden)

	admin.post(page+"/sessions/end", url.Values{}).want(t, http.StatusSeeOther)
	there.get("/settings/profile").want(t, http.StatusSeeOther)
	there = s.signedIn(t, "user@example.com")
	admin.post(page+"/remove", url.Values{}).want(t, http.StatusSeeOther)
	there.get("/settings/profile").want(t, http.StatusSeeOther)
	there.post("/signin", signInForm("user@example.com", password)).want(t, http.StatusForbidden, "not a member of any workspace")
	admin.get(page).want(t, http.StatusNotFound)
	admin.post("/people", person("Other Name", "user@example.com", "VIEWER")).want(t, http.StatusOK, "has an account already")
	there.post("/signin", signInForm("user@example.com", password)).want(t, http.StatusSeeOther)
	if !strings.Contains(s.log.String(), `"msg":"person removed"`) {
		t.Error("the log does not say who was removed")
	}
}

func TestThePeoplesListIsNarrowedByItsAddress(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.add(t, s.home, "ann@example.com", cronium.RoleViewer)
	admin := s.signedIn(t, "mira@example.com")
	for query, want := range map[string][2]bool{ // Mira, Ann
		"": {true, true}, "role:viewer": {false, true}, "role:admin mira": {true, false}, "EXAMPLE.com": {true, true}, "nobody": {false, false}, "role:king": {true, true},
	} {
		res := admin.get("/people?q=" + url.QueryEscape(query))
		res.want(t, http.StatusOK)
		_, list, _ := strings.Cut(res.text, `id="list"`)
		if got := [2]bool{strings.Contains(list, "mira@example.com"), strings.Contains(list, "ann@example.com")}; got != want {
			t.Errorf("%q shows %v, want %v", query, got, want)
		}
	}
	admin.get("/people?q=role:king").want(t, http.StatusOK, "It can be admin, user or viewer")
	admin.get("/people?after=%20cut").want(t, http.StatusOK, "mira@example.com")
}

func TestPeopleByTheAPI(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	admin := s.signedIn(t, "mira@example.com")
	type member struct {
		ID, Name, Email, Role string
		Link                  struct{ URL string } `json:"password_link"`
	}
	add := object{"name": "Jo", "email": "jo@example.com", "role": "USER"}
	admin.call("POST", "/people", object{"name": "", "email": "x", "role": "USER"}).want(t, 422, `"field":"name"`, `"field":"email"`)
	jo := read[member](t, admin.call("POST", "/people", add), 201)
	if !linkPattern.MatchString(jo.Link.URL) {
		t.Errorf("link %q", jo.Link.URL)
	}
	first := read[struct {
		People []member
		Next   string
	}](t, admin.call("GET", "/people?limit=1", nil), 200)
	second := admin.call("GET", "/people?limit=1&cursor="+first.Next, nil)
	if len(first.People) != 1 || first.People[0].Name != "Jo" || !strings.Contains(second.text, "mira@example.com") || strings.Contains(second.text, `"next"`) {
		t.Errorf("pages %+v and %s", first, second.text)
	}
	again := read[struct{ URL string }](t, admin.call("POST", "/people/"+jo.ID+"/password-link", nil), 201)
	if again.URL == jo.Link.URL || !linkPattern.MatchString(again.URL) {
		t.Errorf("a second link is %q", again.URL)
	}
	if changed := read[member](t, admin.call("PATCH", "/people/"+jo.ID, object{"role": "VIEWER"}), 200); changed.Role != "VIEWER" {
		t.Errorf("changed: %+v", changed)
	}
	admin.call("PATCH", "/people/"+s.people["mira@example.com"].ID.String(), object{"role": "VIEWER"}).want(t, 409, "last administrator")
	admin.call("DELETE", "/people/"+jo.ID+"/sessions", nil).want(t, 204)

	token := s.program(t, cronium.ScopeAdmin)
	token.call("GET", "/people", nil).want(t, 200, "jo@example.com")
	for _, c := range [][2]string{{"POST", "/people"}, {"PATCH", "/people/" + jo.ID}, {"DELETE", "/people/" + jo.ID}, {"POST", "/people/" + jo.ID + "/password-link"}} {
		token.call(c[0], c[1], add).want(t, 403, "never with a token")
	}
	s.program(t, cronium.ScopeWrite).call("GET", "/people", nil).want(t, 403, "token of the scope admin")
	admin.call("DELETE", "/people/"+jo.ID, nil).want(t, 204)
	admin.call("GET", "/people/"+jo.ID, nil).want(t, 404)
}

func TestSessionsAreListedAndEndedOneByOne(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	here, phone := s.signedIn(t, "mira@example.com"), s.browser(t)
	phone.header.Set("User-Agent", "Mozilla/5.0 (Linux; Android 15; rv:140.0) Gecko/140.0 Firefox/140.0")
	signIn := func() {
		t.Helper()
		phone.post("/signin", signInForm("mira@example.com", password)).want(t, http.StatusSeeOther)
	}
	signIn()
	here.get("/settings/profile").want(t, http.StatusOK, "Firefox on Android", "127.0.0.1", "now, here")
	type session struct {
		ID, Browser string
		Current     bool
	}
	sessions := func() []session {
		t.Helper()
		return read[struct{ Sessions []session }](t, here.call("GET", "/sessions", nil), 200).Sessions
	}
	other := func() string {
		t.Helper()
		for _, s := range sessions() {
			if !s.Current {
				return s.ID
			}
		}
		t.Fatal("there is one session alone")
		return ""
	}
	here.post("/settings/sessions/"+other()+"/end", url.Values{}).want(t, http.StatusSeeOther)
	phone.get("/settings/profile").want(t, http.StatusSeeOther)
	signIn()
	here.call("DELETE", "/sessions/"+other(), nil).want(t, 204)
	phone.get("/settings/profile").want(t, http.StatusSeeOther)
	for _, end := range []func(){
		func() { here.post("/settings/sessions/others", url.Values{}).want(t, http.StatusSeeOther) },
		func() { here.call("DELETE", "/sessions", nil).want(t, 204) },
	} {
		signIn()
		end()
		phone.get("/settings/profile").want(t, http.StatusSeeOther)
		if left := sessions(); len(left) != 1 || !left[0].Current {
			t.Errorf("left are %+v", left)
		}
	}
	s.program(t, cronium.ScopeAdmin).call("GET", "/sessions", nil).want(t, 403)

	// Those of others are not there.
	s.add(t, s.home, "eve@example.com", cronium.RoleAdmin)
	eve := s.signedIn(t, "eve@example.com")
	eve.call("DELETE", "/sessions/"+sessions()[0].ID, nil).want(t, 404)
	here.get("/settings/profile").want(t, http.StatusOK)
}

func TestOnesOwnAccountByTheAPI(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	here, there := s.signedIn(t, "mira@example.com"), s.signedIn(t, "mira@example.com")
	here.call("PATCH", "/account", object{"name": " x "}).want(t, 422, `"field":"name"`)
	here.call("PATCH", "/account", object{"name": "Mira L."}).want(t, 204)
	here.call("PUT", "/account/password", object{"current_password": "no", "new_password": "quite another password"}).want(t, 422, "current_password")
	here.call("PUT", "/account/password", object{"current_password": password, "new_password": "quite another password"}).want(t, 204)
	here.get("/settings/profile").want(t, http.StatusOK, "Mira L.")
	there.get("/settings/profile").want(t, http.StatusSeeOther)
}

func TestFullNetworkNeedsATokenOfTheScopeAdmin(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	event := object{"name": "Reach", "type": "BASH", "content": object{"network": "full"}}
	write, admin := s.program(t, cronium.ScopeWrite), s.program(t, cronium.ScopeAdmin)
	write.call("POST", "/events", event).want(t, 403, "network full needs a token of the scope admin")
	made := read[struct{ ID string }](t, admin.call("POST", "/events", event), 201)
	write.call("POST", "/events/"+made.ID+"/duplicate", nil).want(t, 403, "scope admin")
	content := object{"network": "full", "files": []object{{"name": "script.sh", "content": "true"}}, "entry": "script.sh"}
	write.call("POST", "/events/"+made.ID+"/versions", object{"content": content, "base_version": 1}).want(t, 403, "scope admin")
	write.call("POST", "/events/"+made.ID+"/versions", object{"restore": 1, "base_version": 1}).want(t, 403, "scope admin")
	write.call("POST", "/events/"+made.ID+"/test", object{"content": content}).want(t, 403, "scope admin")
	s.add(t, s.home, "user@example.com", cronium.RoleUser)
	s.signedIn(t, "user@example.com").call("POST", "/events", event).want(t, 422, "administrator alone")
}
