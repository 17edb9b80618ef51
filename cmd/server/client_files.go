package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"cronium.dev/bundle"
	"cronium.dev/client"
	v1 "cronium.dev/client/api"
)

// Files of a workspace: a folder with variables.yaml, servers.yaml and a folder
// for each event with its event.yaml and its scripts. How they are laid out is
// free: apply reads every .yaml in the folder.

type exportCommand struct {
	clientFlags
	Dir string `arg:"" help:"Folder to write into; made when it does not exist. Files of the same names are replaced."`
}

// Run writes the workspace into a folder.
func (c *exportCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	answer, err := v1.API{Client: api}.ExportBundle(ctx, v1.ExportBundleOptions{})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	defer root.Close()
	w := &folderWriter{root: root, taken: map[string]bool{}}
	for _, d := range answer.Documents {
		if err := w.add(bundle.Document{Kind: d.Kind, Name: d.Name, Fields: d.Fields}); err != nil {
			return err
		}
	}
	if err := w.rest(); err != nil {
		return err
	}
	fmt.Printf("%d things are in %s.\n", len(answer.Documents), c.Dir)
	return w.tellOthers()
}

// folderWriter lays documents out in a folder.
type folderWriter struct {
	root               *os.Root
	taken              map[string]bool // files and folders written, in lower case
	variables, servers []bundle.Document
}

func (w *folderWriter) add(d bundle.Document) error {
	switch d.Kind {
	case bundle.KindVariable:
		w.variables = append(w.variables, d)
		return nil
	case bundle.KindServer:
		w.servers = append(w.servers, d)
		return nil
	}
	folder := w.folder(d.Name)
	var err error
	d.Fields, err = bundle.RewriteEach(d.Fields, func(entry json.RawMessage) (json.RawMessage, error) {
		var file struct {
			Name    string `json:"name"`
			Content string `json:"content"`
		}
		if err := json.Unmarshal(entry, &file); err != nil {
			return nil, err
		}
		if err := w.write(path.Join(folder, file.Name), []byte(file.Content)); err != nil {
			return nil, err
		}
		return json.Marshal(struct {
			Name string `json:"name"`
			From string `json:"from"`
		}{file.Name, file.Name})
	}, "content", "files")
	if err != nil {
		return fmt.Errorf("write the event %s: %w", d.Name, err)
	}
	return w.document(path.Join(folder, "event.yaml"), d)
}

// folder is a name for an event's folder that no other has.
func (w *folderWriter) folder(name string) string {
	slug := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-")
	for strings.Contains(slug, "--") {
		slug = strings.ReplaceAll(slug, "--", "-")
	}
	folder := path.Join("events", strings.Trim(slug[:min(len(slug), 60)], "-"))
	if slug == "" {
		folder = "events/event"
	}
	unique := folder
	for n := 2; w.taken[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", folder, n)
	}
	w.taken[unique] = true
	return unique
}

func (w *folderWriter) document(name string, documents ...bundle.Document) error {
	text, err := bundle.Write(documents...)
	if err != nil {
		return err
	}
	return w.write(name, text)
}

func (w *folderWriter) write(name string, text []byte) error {
	if err := w.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	w.taken[strings.ToLower(name)] = true
	if err := w.root.WriteFile(name, text, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (w *folderWriter) rest() error {
	if len(w.variables) > 0 {
		if err := w.document("variables.yaml", w.variables...); err != nil {
			return err
		}
	}
	if len(w.servers) > 0 {
		return w.document("servers.yaml", w.servers...)
	}
	return nil
}

// tellOthers names documents that were in the folder and are of nothing that the
// workspace has: apply would make them again.
func (w *folderWriter) tellOthers() error {
	return eachDocument(w.root, func(name string) error {
		if !w.taken[strings.ToLower(name)] {
			fmt.Fprintf(os.Stderr, "%s was there before and is of nothing in the workspace; apply would make it.\n", name)
		}
		return nil
	})
}

// eachDocument calls f with each .yaml in a folder, those in hidden folders left
// out.
func eachDocument(root *os.Root, f func(name string) error) error {
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("look into %s: %w", name, err)
		case entry.IsDir() && name != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.Type().IsRegular() && (strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")):
			return f(name)
		}
		return nil
	})
}

type applyCommand struct {
	listFlags
	File   string `short:"f" required:"" placeholder:"DIR" help:"Folder with .yaml files, or one such file."`
	DryRun bool   `name:"dry-run" help:"Say what would change, and whether it could be done, and change nothing."`
	Prune  bool   `help:"Take out what no file has: events and servers are archived, variables, schedules and webhooks deleted."`
}

// Run makes the workspace what files say.
func (c *applyCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	documents, err := readFiles(c.File)
	if err != nil {
		return err
	}
	body := v1.ApplyBundleInputBody{Documents: documents, DryRun: &c.DryRun, Prune: &c.Prune}
	answer, err := v1.API{Client: api}.ApplyBundle(ctx, body)
	if err != nil {
		return placed(err, documents)
	}
	if c.JSON {
		return printJSON(answer.Changes)
	}
	printPlan(answer)
	return nil
}

// readFiles reads a folder, or a file, with what its documents take from beside
// it and from the environment.
func readFiles(name string) ([]v1.Document, error) {
	dir, only := name, ""
	if info, err := os.Stat(name); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	} else if !info.IsDir() {
		dir, only = path.Split(name)
	}
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer root.Close()
	var documents []v1.Document
	read := func(file string) error {
		text, err := root.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		found, err := bundle.Read(file, text)
		if err != nil {
			return err
		}
		for _, d := range found {
			if d.Fields, err = completed(root, d); err != nil {
				return fmt.Errorf("%s:%d: %w", d.File, d.Line, err)
			}
			line := int64(d.Line)
			documents = append(documents, v1.Document{Kind: d.Kind, Name: d.Name, Fields: d.Fields, File: &d.File, Line: &line})
		}
		return nil
	}
	if only != "" {
		err = read(only)
	} else {
		err = eachDocument(root, read)
	}
	if err == nil && len(documents) == 0 {
		err = fmt.Errorf("there is no .yaml with a document in %s", name)
	}
	return documents, err
}

// completed puts what a document names into it: files beside it, and values of
// secrets from the environment.
func completed(root *os.Root, d bundle.Document) (json.RawMessage, error) {
	if d.Kind == bundle.KindVariable {
		return withValue(d.Fields)
	}
	if d.Kind != bundle.KindEvent {
		return d.Fields, nil
	}
	return bundle.RewriteEach(d.Fields, func(entry json.RawMessage) (json.RawMessage, error) {
		var file struct {
			Name    string  `json:"name"`
			From    *string `json:"from"`
			Content *string `json:"content"`
		}
		if err := json.Unmarshal(entry, &file); err != nil || file.From == nil {
			return entry, nil // the server says what is wrong with it
		}
		if file.Content != nil {
			return nil, fmt.Errorf("the file %s has content and from; give one of them", file.Name)
		}
		text, err := root.ReadFile(path.Join(path.Dir(d.File), *file.From))
		if err != nil {
			return nil, fmt.Errorf("the file %s: %w", file.Name, err)
		}
		return json.Marshal(map[string]string{"name": file.Name, "content": string(text)})
	}, "content", "files")
}

// withValue puts the value of an environment variable into a variable.
func withValue(fields json.RawMessage) (json.RawMessage, error) {
	var variable struct {
		Env *string `json:"value_env"`
	}
	if err := json.Unmarshal(fields, &variable); err != nil || variable.Env == nil {
		return fields, nil
	}
	value, ok := os.LookupEnv(*variable.Env)
	if !ok {
		return nil, fmt.Errorf("value_env: the environment variable %s is not set", *variable.Env)
	}
	var object map[string]any
	if err := json.Unmarshal(fields, &object); err != nil {
		return nil, err
	}
	delete(object, "value_env")
	object["value"] = value
	return json.Marshal(object)
}

// placed names the file and line of each document that was refused.
func placed(err error, documents []v1.Document) error {
	var refusal *client.Error
	if !errors.As(err, &refusal) || len(refusal.Fields) == 0 {
		return err
	}
	var lines []string
	for _, f := range refusal.Fields {
		place := ""
		for _, d := range documents {
			if strings.HasPrefix(f.Field, d.Kind+" "+d.Name) && d.File != nil {
				place = fmt.Sprintf("%s:%d: ", *d.File, *d.Line)
			}
		}
		lines = append(lines, place+strings.TrimSpace(f.Field+" "+f.Message))
	}
	return fmt.Errorf("%s Nothing was changed.\n  %s", refusal.Detail, strings.Join(lines, "\n  "))
}

// printPlan says what became of each thing, like a difference.
func printPlan(answer *v1.ApplyBundleOutputBody) {
	count := map[string]int{}
	for _, c := range answer.Changes {
		count[c.Action]++
		sign := map[string]string{"ADD": "+", "CHANGE": "~", "REMOVE": "-"}[c.Action]
		if sign == "" {
			continue
		}
		fmt.Printf("%s %s %s\n", sign, c.Kind, c.Name)
		for _, f := range c.Fields {
			fmt.Printf("    %s: %s → %s\n", f.Path, orNothing(f.Before), orNothing(f.After))
		}
	}
	done := "Applied"
	if !answer.Applied {
		done = "Would be applied"
	}
	fmt.Printf("%s: %d added, %d changed, %d taken out, %d the same.\n", done, count["ADD"], count["CHANGE"], count["REMOVE"], count["SAME"])
	if n := count["KEPT"]; n > 0 {
		fmt.Printf("%d more in the workspace are in no file and stay; --prune takes them out.\n", n)
	}
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
