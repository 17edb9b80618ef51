package files

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/manifest"
	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// MaxUpload is the most that one upload may have, in bytes.
const MaxUpload = 1 << 30

const (
	// grantTime covers clocks that differ.
	grantTime   = 2 * time.Hour
	listTime    = 30 * time.Second
	longestPath = 4096 // what Linux takes
)

// Config is what a Service works with.
type Config struct {
	Key ed25519.PrivateKey // signs grants
	// Agent gives a connection to a server's agent, and the target that grants
	// for it must name.
	Agent func(ctx context.Context, server *cronium.Server) (link *executor.Link, target string, err error)
}

// Service moves files. Its methods may be called concurrently. Their errors are
// *cronium.Error with public text.
type Service struct{ Config }

// New makes a service.
func New(config Config) *Service { return &Service{config} }

// File is one file as its server tells of it: nothing in it can be trusted.
type File struct {
	Name     string // bytes; not always UTF-8
	Size     int64
	Mode     fs.FileMode
	Owner    string
	Link     string // where a symbolic link points; "" for others
	Modified time.Time
}

// Folder is what is in one. Truncated says that it has more than are listed.
type Folder struct {
	Path      string // absolute and cleaned
	Files     []File // folders first, then by name
	Truncated bool
}

// Join is the path of a file in the folder.
func (f *Folder) Join(name string) string { return Join(f.Path, name) }

// Join is the path of a file in a folder, both as they are.
func Join(folder, name string) string { return strings.TrimSuffix(folder, "/") + "/" + name }

// List looks into a folder; "" is the home of the agent's user.
func (s *Service) List(ctx context.Context, server *cronium.Server, folder string) (*Folder, error) {
	if folder != "" {
		if err := checkPath(folder); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	link, grant, err := s.grant(ctx, server, manifest.ActionFilesRead, folder)
	if err != nil {
		return nil, err
	}
	defer link.Close()
	list, err := link.Client().ListFiles(ctx, &proto.ListFilesRequest{Grant: grant, Path: []byte(folder)})
	if err != nil {
		return nil, explain(server, err)
	}
	f := &Folder{Path: string(list.GetPath()), Truncated: list.GetTruncated()}
	for _, info := range list.GetFiles() {
		if name := info.GetName(); len(name) == 0 || bytes.ContainsAny(name, "/\x00") || string(name) == "." || string(name) == ".." {
			continue // an agent that tells this is up to something
		}
		f.Files = append(f.Files, fileOf(info))
	}
	slices.SortFunc(f.Files, func(a, b File) int {
		if a.Mode.IsDir() != b.Mode.IsDir() {
			if a.Mode.IsDir() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return f, nil
}

func fileOf(info *proto.FileInfo) File {
	return File{
		Name: string(info.GetName()), Size: max(info.GetSize(), 0), Mode: fs.FileMode(info.GetMode()), Owner: cronium.Printable(info.GetOwner(), 64),
		Link: string(info.GetLink()), Modified: time.UnixMilli(info.GetModifiedUnixMs()),
	}
}

// grant connects to the server's agent and signs what is asked of it.
func (s *Service) grant(ctx context.Context, server *cronium.Server, action, name string) (*executor.Link, *proto.SignedGrant, error) {
	link, target, err := s.Agent(ctx, server)
	if err != nil {
		return nil, nil, err
	}
	grant, err := manifest.SignGrant(s.Key, target, action, name, time.Now().Add(grantTime))
	if err != nil {
		link.Close()
		return nil, nil, err
	}
	return link, grant, nil
}

// checkPath fails for what cannot be a path on a server.
func checkPath(name string) error {
	switch {
	case !path.IsAbs(name):
		return cronium.Errorf(cronium.CodeInvalid, "The path must be absolute, like /var/log.")
	case strings.ContainsRune(name, 0):
		return cronium.Errorf(cronium.CodeInvalid, "A path cannot have a zero byte.")
	case len(name) > longestPath:
		return cronium.Errorf(cronium.CodeInvalid, "The path is longer than %d bytes.", longestPath)
	}
	return nil
}

// Shown is a name or path for a person: what cannot be printed is replaced, so
// that it does not disguise the rest.
func Shown(name string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name)
}

// explain gives what an agent answered the words that a person sees.
func explain(server *cronium.Server, err error) error {
	code := cronium.CodeConflict
	switch status.Code(err) {
	case codes.NotFound:
		code = cronium.CodeNotFound
	case codes.InvalidArgument:
		code = cronium.CodeInvalid
	case codes.AlreadyExists, codes.PermissionDenied, codes.FailedPrecondition, codes.ResourceExhausted, codes.Internal:
	default:
		return &cronium.Error{Code: cronium.CodeUnavailable, Message: "The connection to " + server.Name + " was lost. Try again.", Err: err}
	}
	text := []rune(status.Convert(err).Message())
	return &cronium.Error{Code: code, Message: Shown(string(text[:min(len(text), longestPath)])), Err: err}
}
