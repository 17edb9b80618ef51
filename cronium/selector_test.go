package cronium

import (
	"errors"
	"strings"
	"testing"
)

func TestSelectorsChooseServers(t *testing.T) {
	t.Parallel()
	web := selectable{"Web-07", "prod", ServerSSH, map[string]string{"role": "web", "gpu": "", "rack": "r 12", "path": "/srv/*"}}
	bare := selectable{"edge", "", ServerAgent, map[string]string{"env": "dev"}}
	for text, want := range map[string][2]bool{
		"role=web":                        {true, false},
		"role = web":                      {true, false},
		"role=WEB":                        {false, false},
		"role!=web":                       {false, true},
		"role!=db":                        {true, true},
		"not role=web":                    {false, true},
		"not not role=web":                {true, false},
		"role in (db, web)":               {true, false},
		"role in (db)":                    {false, false},
		"role not in (db, web)":           {false, true},
		"gpu":                             {true, false},
		"gpu=\"\"":                        {true, false},
		"not gpu":                         {false, true},
		"name=web-07":                     {true, false},
		"name=web-*":                      {true, false},
		"NAME=*7":                         {true, false},
		"name=*":                          {true, true},
		"name=w*0*":                       {true, false},
		"name=w*7*7":                      {false, false},
		`name="web-*"`:                    {false, false},
		`path="/srv/*"`:                   {true, false},
		"rack='r 12'":                     {true, false},
		"env=prod":                        {true, false},
		"environment=dev":                 {false, true},
		"env":                             {true, true},
		"kind=agent":                      {false, true},
		"role=web and env=dev":            {false, false},
		"role=web or env=dev":             {true, true},
		"role=db and gpu or env=dev":      {false, true},
		"env=dev or role=db and gpu":      {false, true},
		"(env=dev or role=web) and gpu":   {true, false},
		"not (env=dev or role=db)":        {true, false},
		"not env=dev and role=web":        {true, false},
		"env=prod AND not name in (x, y)": {true, false},
		"env=prod and role in (web, api) and not name=edge-07": {true, false},
	} {
		s, err := ParseSelector(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for i, server := range []selectable{web, bare} {
			if got := s.Matches(server.name, server.environment, server.kind, server.tags); got != want[i] {
				t.Errorf("%s: %s is chosen: %t", text, server.name, got)
			}
		}
	}
}

func TestASelectorThatCannotBeReadSaysWhereAndWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		at   int
		says string
	}{
		"":                             {1, "condition like role=web"},
		"role=":                        {6, "a value"},
		"role=web and":                 {13, "condition"},
		"role=web env=prod":            {10, "“and”, “or”"},
		"(role=web":                    {10, "“)”"},
		"role=web)":                    {9, "“)” is not expected"},
		"role in web":                  {9, "(web, api)"},
		"role in (web":                 {13, "“,” or “)”"},
		"role in ()":                   {10, "a value"},
		"kind=windows":                 {6, "ssh or agent"},
		"name":                         {1, "name=…"},
		"role=\"web":                   {6, "no end"},
		"role=web; rm -rf":             {9, "“;”"},
		"ro*=web":                      {1, "no *"},
		"and":                          {1, "condition"},
		strings.Repeat("(", 100) + "a": {61, "too many"},
		strings.Repeat("x", 2001):      {1, "2,000"},
		"role=\xff":                    {1, "text"},
	} {
		_, err := ParseSelector(text)
		var e *SelectorError
		if !errors.As(err, &e) || e.At != want.at || !strings.Contains(e.Message, want.says) {
			t.Errorf("%.40q: %v, want character %d and %q", text, err, want.at, want.says)
		}
	}
}

func FuzzParseSelector(f *testing.F) {
	f.Add("env=prod and role in (web, api) and not name=edge-07")
	f.Add(`a != "b c" or (not d)`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSelector(text)
		if err != nil {
			if e := err.(*SelectorError); e.At < 1 || e.At > len([]rune(text))+1 {
				t.Errorf("position %d in %d characters", e.At, len([]rune(text)))
			}
			return
		}
		s.Matches("web-1", "prod", ServerSSH, map[string]string{"role": "web"})
	})
}
