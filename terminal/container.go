package terminal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"cronium.dev/agent/manifest"
	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/store"
)

const (
	removeTime = time.Minute // for a container whose shell has ended; a sweep removes it otherwise
	piece      = 256 << 10   // of a file, as the protocol bounds it
	workFolder = "/work"     // where a container's script finds its files
)

// reach connects to the agent of a terminal. A terminal of an event gets its
// container with the first connection; later ones find it, in whatever process.
func (s *Service) reach(ctx context.Context, t *cronium.Terminal, conn Conn) (*executor.Link, string, error) {
	if t.EventID == nil {
		return s.Agent(ctx, t)
	}
	if s.Containers == nil {
		return nil, "", cronium.Errorf(cronium.CodeUnavailable, "This server process makes no containers.")
	}
	if t.TargetRef == "" {
		link, target, err := s.make(ctx, t, conn)
		if !errors.Is(err, store.ErrNotOwner) {
			return link, target, err
		}
		found, err := s.Store.Terminal(ctx, t.WorkspaceID, t.ID) // another connection was first
		if err != nil {
			return nil, "", err
		}
		if *t = *found; t.EndedAt != nil || t.TargetRef == "" {
			return nil, "", cronium.Errorf(cronium.CodeConflict, "This terminal has ended: %s Open a new one.", t.Ending)
		}
	}
	place, err := s.Containers.Find(ctx, t.TargetRef)
	if err != nil {
		return nil, "", s.lost(ctx, t, err)
	}
	link, err := executor.Open(ctx, place)
	if err != nil {
		return nil, "", s.lost(ctx, t, err)
	}
	return link, place.TargetID(), nil
}

// lost gives the words for a container that cannot be reached. Of one that is
// gone the terminal has ended.
func (s *Service) lost(ctx context.Context, t *cronium.Terminal, err error) error {
	if !errors.Is(err, executor.ErrGone) {
		return &cronium.Error{Code: cronium.CodeUnavailable, Message: "The container cannot be reached now. Its shell waits for five minutes.", Err: err}
	}
	text := "The container is gone: someone may have removed it, or the machine was started anew."
	s.end(ctx, t, text)
	return &cronium.Error{Code: cronium.CodeConflict, Message: text, Err: err}
}

// make makes the container of a terminal: as one of a run, with the event's files
// and without any secret.
func (s *Service) make(ctx context.Context, t *cronium.Terminal, conn Conn) (*executor.Link, string, error) {
	content, err := s.content(ctx, t)
	if err != nil {
		return nil, "", err
	}
	spec := executor.Spec{ExecutionID: t.ID, WorkspaceID: t.WorkspaceID, Image: content.Image, Network: content.Network, Limits: content.Limits}
	place := s.Containers.Warm(spec)
	if place == nil {
		tell := func(text string) { _ = conn.Send(ctx, Message{Doing: text}) } // who has left need not know
		if place, err = s.Containers.Create(ctx, spec, tell); err != nil {
			return nil, "", err
		}
	}
	link, err := s.furnish(ctx, place, content)
	if err == nil {
		err = s.Store.PlaceTerminal(ctx, t.WorkspaceID, t.ID, place.Ref())
	}
	if err != nil {
		if link != nil {
			link.Close()
		}
		s.destroy(ctx, t, place)
		return nil, "", err
	}
	t.TargetRef = place.Ref()
	return link, place.TargetID(), nil
}

// content is what the event is now.
func (s *Service) content(ctx context.Context, t *cronium.Terminal) (*cronium.Content, error) {
	event, err := s.Store.Event(ctx, t.WorkspaceID, *t.EventID)
	if cronium.CodeOf(err) == cronium.CodeNotFound {
		return nil, cronium.Errorf(cronium.CodeConflict, "The event of this terminal was deleted.")
	}
	if err != nil {
		return nil, err
	}
	version, err := s.Store.EventVersion(ctx, t.WorkspaceID, event.ID, event.Version)
	if err != nil {
		return nil, err
	}
	return &version.Content, nil
}

// environment is what a shell finds beside what its login gives: of an event, the
// variables that stand in its version.
func (s *Service) environment(ctx context.Context, t *cronium.Terminal) (map[string]string, error) {
	environment := map[string]string{}
	if t.EventID != nil && t.Bytes == 0 { // else the shell has it
		content, err := s.content(ctx, t)
		if err != nil {
			return nil, err
		}
		for _, v := range content.Environment {
			environment[v.Name] = v.Value
		}
	}
	maps.Copy(environment, map[string]string{"TERM": "xterm-256color", "COLORTERM": "truecolor"})
	return environment, nil
}

// furnish puts the event's files to where a run would find them.
func (s *Service) furnish(ctx context.Context, place executor.Place, content *cronium.Content) (*executor.Link, error) {
	link, err := executor.Open(ctx, place)
	if err != nil {
		return nil, &cronium.Error{Code: cronium.CodeUnavailable, Message: "The container did not answer.", Err: err}
	}
	for _, file := range content.Files {
		if err := s.write(ctx, link, place.TargetID(), file); err != nil {
			return link, &cronium.Error{Code: cronium.CodeConflict, Message: "The file " + file.Name + " could not be put into the container. Is the work directory large enough for it?", Err: err}
		}
	}
	return link, nil
}

func (s *Service) write(ctx context.Context, link *executor.Link, target string, file cronium.File) error {
	path := workFolder + "/" + file.Name
	grant, err := manifest.SignGrant(s.Key, target, manifest.ActionFilesWrite, path, time.Now().Add(grantTime))
	if err != nil {
		return err
	}
	stream, err := link.Client().WriteFile(ctx)
	if err != nil {
		return fmt.Errorf("write %s: %w", file.Name, err)
	}
	open := &proto.WriteFileOpen{Grant: grant, Path: []byte(path), Size: int64(len(file.Content)), Mode: 0o700, Folders: true}
	err = stream.Send(&proto.WriteFileRequest{Part: &proto.WriteFileRequest_Open{Open: open}})
	for rest := []byte(file.Content); err == nil && len(rest) > 0; {
		n := min(len(rest), piece)
		err = stream.Send(&proto.WriteFileRequest{Part: &proto.WriteFileRequest_Data{Data: rest[:n]}})
		rest = rest[n:]
	}
	if _, err := stream.CloseAndRecv(); err != nil { // it tells why Send failed
		return fmt.Errorf("write %s: %w", file.Name, err)
	}
	return nil
}

// remove removes the container of a terminal that has ended.
func (s *Service) remove(ctx context.Context, t *cronium.Terminal) {
	if t.EventID == nil || t.EndedAt == nil || t.TargetRef == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
	defer cancel()
	place, err := s.Containers.Find(ctx, t.TargetRef)
	if err == nil {
		s.destroy(ctx, t, place)
	} else if !errors.Is(err, executor.ErrGone) {
		s.Log.Warn("the container of a terminal was not removed; a sweep will", "terminal", t.ID, "error", err)
	}
}

func (s *Service) destroy(ctx context.Context, t *cronium.Terminal, place executor.Place) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
	defer cancel()
	if err := place.Destroy(ctx); err != nil {
		s.Log.Warn("the container of a terminal was not removed; a sweep will", "terminal", t.ID, "error", err)
	}
}
