package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/blob"
	agentproto "cronium.dev/agent/proto"
)

// pull asks the server for the files that are not in the cache and receives
// them, within the time that the manifest allows for setting up. It returns the
// digests that must be let go of afterwards.
func (a *Agent) pull(stream agentproto.Agent_StartServer, m *agentproto.Manifest, received time.Time) (pinned []string, err error) {
	missing := map[string]int64{} // size by digest
	var need []string
	for _, f := range m.GetFiles() {
		if size, asked := missing[f.GetSha256()]; asked && size != f.GetSize() {
			return pinned, fmt.Errorf("%w: one digest with two sizes", blob.ErrContent)
		} else if asked {
			continue
		}
		if a.blobs.Pin(f.GetSha256()) {
			pinned = append(pinned, f.GetSha256())
			continue
		}
		missing[f.GetSha256()] = f.GetSize()
		need = append(need, f.GetSha256())
	}
	if len(need) == 0 {
		return pinned, nil
	}
	ask := &agentproto.StartResponse{Part: &agentproto.StartResponse_Need{Need: &agentproto.Need{Sha256: need}}}
	if err := stream.Send(ask); err != nil {
		return pinned, err
	}
	limit := limitOr(m.GetLimits().GetSetupMs(), defaultSetup)
	// Recv cannot be given a deadline, so another goroutine receives; it ends
	// with the stream when this call does.
	done := make(chan error, 1)
	var got []string
	go func() {
		var err error
		got, err = a.receive(stream, missing)
		done <- err
	}()
	late := time.NewTimer(limit - time.Since(received))
	defer late.Stop()
	select {
	case err = <-done:
		return append(pinned, got...), err
	case <-late.C:
		go func() {
			<-done
			a.unpin(got)
		}()
		return pinned, fmt.Errorf("the script's files did not arrive within %s: %w", limit, context.DeadlineExceeded)
	}
}

// receive takes the parts of blobs until none is missing. The blobs it has
// committed are pinned.
func (a *Agent) receive(stream agentproto.Agent_StartServer, missing map[string]int64) (got []string, err error) {
	var w *blob.Writer
	var current string
	defer func() {
		if w != nil {
			w.Abort()
		}
	}()
	for len(missing) > 0 {
		in, err := stream.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return got, status.Errorf(codes.InvalidArgument, "the stream ended while %d files were missing", len(missing))
			}
			return got, err
		}
		part := in.GetBlob()
		size, asked := missing[part.GetSha256()]
		if !asked || w != nil && part.GetSha256() != current {
			return got, fmt.Errorf("%w: a part of %q came that was not asked for", blob.ErrContent, part.GetSha256())
		}
		if w == nil {
			if w, err = a.blobs.Create(part.GetSha256(), size); err != nil {
				return got, err
			}
			current = part.GetSha256()
		}
		if _, err := w.Write(part.GetData()); err != nil {
			return got, err
		}
		if !part.GetLast() {
			continue
		}
		err = w.Commit()
		w = nil
		if err != nil {
			return got, err
		}
		delete(missing, current)
		got = append(got, current)
	}
	return got, nil
}

func (a *Agent) unpin(digests []string) {
	for _, d := range digests {
		a.blobs.Unpin(d)
	}
}
