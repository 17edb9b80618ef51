package handlers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/cronium"
)

// fieldsParam names the fields that an answer shall have.
const fieldsParam = "fields"

// shaped is what every reading operation of the API can do: an answer with some
// fields alone, and none at all for a client that has the same already.
type shaped struct {
	list string   // the field that holds the entries of a list; "" for one thing
	has  []string // names of the fields that may be asked for; none: they cannot be chosen
}

// shape finds out from the document what an operation answers. It adds the
// parameter to it.
func (a *api) shape(op *huma.Operation) shaped {
	response := op.Responses["200"]
	if op.Method != http.MethodGet || response == nil || response.Content["application/json"] == nil {
		return shaped{}
	}
	schema := a.resolved(response.Content["application/json"].Schema)
	s := shaped{}
	if strings.HasPrefix(op.OperationID, "list-") {
		for name, p := range schema.Properties {
			if p.Type == "array" && p.Items != nil && p.Items.Ref != "" {
				s.list, schema = name, a.resolved(p.Items)
				break
			}
		}
	}
	s.has = slices.Sorted(maps.Keys(schema.Properties))
	s.has = slices.DeleteFunc(s.has, func(name string) bool { return name == "$schema" })
	if len(s.has) > 0 {
		op.Parameters = append(op.Parameters, &huma.Param{Name: fieldsParam, In: "query", Schema: &huma.Schema{Type: "string"},
			Description: "Only these fields, separated by commas: " + strings.Join(s.has, ", ")})
	}
	return s
}

func (a *api) resolved(s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return a.huma.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// chosen takes the parameter out of the request, for which the operation does
// not know it, and gives the names in it.
func (s shaped) chosen(r *http.Request) (*http.Request, []string, error) {
	query := r.URL.Query()
	given, asked := query[fieldsParam]
	if !asked || len(s.has) == 0 {
		return r, nil, nil
	}
	names := strings.Split(strings.Join(given, ","), ",")
	var problems cronium.Problems
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
		problems.Add(slices.Contains(s.has, names[i]), fieldsParam, "must be names of fields separated by commas: %s", strings.Join(s.has, ", "))
		if len(problems) > 0 {
			break
		}
	}
	query.Del(fieldsParam)
	changed := *r
	changed.URL = new(url.URL)
	*changed.URL = *r.URL
	changed.URL.RawQuery = query.Encode()
	return &changed, names, problems.Err("The request")
}

// answer serves a reading operation: its answer is gathered, cut to the fields
// that were asked for, and named by an ETag of its content.
func (s shaped) answer(w http.ResponseWriter, r *http.Request, handle func(http.ResponseWriter, *http.Request)) error {
	r, fields, err := s.chosen(r)
	if err != nil {
		return err
	}
	g := &gathered{header: http.Header{}, status: http.StatusOK}
	handle(g, r)
	maps.Copy(w.Header(), g.header)
	body := g.body.Bytes()
	if g.status == http.StatusOK && strings.HasPrefix(g.header.Get("Content-Type"), "application/json") {
		if len(fields) > 0 {
			if body, err = s.cut(body, fields); err != nil {
				return err
			}
			if link := w.Header().Get("Link"); link != "" {
				w.Header().Set("Link", strings.Replace(link, ">;", "&"+url.Values{fieldsParam: {strings.Join(fields, ",")}}.Encode()+">;", 1))
			}
		}
		if unchanged(w, r, body) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(g.status)
	_, _ = w.Write(body) // the client may be gone
	return nil
}

// unchanged names an answer and tells whether the client has it.
func unchanged(w http.ResponseWriter, r *http.Request, body []byte) bool {
	tag := w.Header().Get("ETag")
	if tag == "" {
		sum := sha256.Sum256(body)
		tag = `W/"` + hex.EncodeToString(sum[:12]) + `"`
		w.Header().Set("ETag", tag)
	} else {
		return false // it names a version of the thing, not this answer
	}
	for _, known := range strings.Split(r.Header.Get("If-None-Match"), ",") {
		if known = strings.TrimSpace(known); known != "" && (known == "*" || strings.TrimPrefix(known, "W/") == strings.TrimPrefix(tag, "W/")) {
			return true
		}
	}
	return false
}

// cut leaves the chosen fields of an answer.
func (s shaped) cut(body []byte, fields []string) ([]byte, error) {
	keep := func(object map[string]json.RawMessage) {
		maps.DeleteFunc(object, func(name string, _ json.RawMessage) bool { return !slices.Contains(fields, name) })
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, err
	}
	if s.list == "" {
		keep(object)
		return marshalLine(object)
	}
	var entries []map[string]json.RawMessage
	if err := json.Unmarshal(object[s.list], &entries); err != nil {
		return nil, err
	}
	for _, entry := range entries {
		keep(entry)
	}
	cut, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	object[s.list] = cut
	return marshalLine(object)
}

func marshalLine(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return append(text, '\n'), err
}

// gathered holds an answer back.
type gathered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (g *gathered) Header() http.Header         { return g.header }
func (g *gathered) WriteHeader(status int)      { g.status = status }
func (g *gathered) Write(p []byte) (int, error) { return g.body.Write(p) }
