package installed

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"cronium.dev/agent/manifest"
	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
)

const (
	partBytes   = 256 << 10
	updateLimit = 10 * time.Minute // for a program to arrive on a slow line
	grantLife   = updateLimit + 5*time.Minute
)

// update brings the program to the agent, which starts it beside itself.
func (h *held) update(ctx context.Context, binary Binary) error {
	b := h.backend.config
	file, err := os.Open(binary.File)
	if err != nil {
		return fmt.Errorf("update an agent: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("update an agent: %w", err)
	}
	grant, err := manifest.SignGrant(b.Key, h.agent.ServerID.String(), manifest.ActionUpdate, binary.SHA256, time.Now().Add(grantLife))
	if err != nil {
		return fmt.Errorf("update an agent: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, updateLimit)
	defer cancel()
	stream, err := h.link.Client().Update(ctx)
	if err != nil {
		return fmt.Errorf("update an agent: %w", err)
	}
	offer := &proto.UpdateOffer{Grant: grant, Version: b.Version, Size: info.Size(), ReportMs: b.UpdateReport.Milliseconds()}
	err = stream.Send(&proto.UpdateRequest{Part: &proto.UpdateRequest_Offer{Offer: offer}})
	part := make([]byte, partBytes)
	for err == nil {
		n, end := io.ReadFull(file, part)
		if n > 0 {
			err = stream.Send(&proto.UpdateRequest{Part: &proto.UpdateRequest_Data{Data: part[:n]}})
		}
		if end != nil {
			break // the end of the file; a read that failed is one too short, which the agent refuses
		}
	}
	// A Send that failed says only that; the answer tells why.
	if _, err := stream.CloseAndRecv(); err != nil {
		return fmt.Errorf("update an agent: %w", err)
	}
	return nil
}

// attempt is one agent that a new program was brought to.
type attempt struct {
	begun time.Time
	ended time.Time // zero while it is not known how it went
	fault string    // how it failed
}

// rollout brings the agents of this process to its own version: a tenth of them
// first, the others when those have been well for a while. It stops at the first
// that fails, until somebody wants that one tried again. One goroutine uses it.
type rollout struct {
	attempts map[cronium.ID]*attempt
	results  chan result
	opened   bool        // the first have been well for long enough
	halted   *cronium.ID // the one that failed
}

// result is what came of bringing a program.
type result struct {
	server cronium.ID
	err    error
}

// atOnce is how many agents are brought a program at the same time.
const atOnce = 20

// rollOut takes the next step.
func (b *Backend) rollOut(ctx context.Context, r *rollout, now time.Time) {
	b.tryAgain(ctx, r)
	outdated := b.judge(ctx, r, now)
	if r.halted != nil || len(outdated) == 0 {
		return
	}
	running, well := 0, now
	for _, a := range r.attempts {
		if a.ended.IsZero() {
			running++
		} else if a.ended.After(well) || well == now {
			well = a.ended // the last that was found well
		}
	}
	next := atOnce - running
	if !r.opened {
		first := (len(outdated) + len(r.attempts) + 9) / 10
		next = min(next, first-len(r.attempts))
		if r.opened = next <= 0 && running == 0 && now.Sub(well) >= b.config.UpdateSettle; r.opened {
			next = atOnce
		}
	}
	for _, h := range outdated[:max(0, min(len(outdated), next))] {
		b.bring(ctx, r, h, now)
	}
}

// judge notes what has become of the attempts, and gives the agents that have an
// older version and were not tried.
func (b *Backend) judge(ctx context.Context, r *rollout, now time.Time) (outdated []*held) {
	for taken := true; taken; {
		select {
		case done := <-r.results:
			if a := r.attempts[done.server]; done.err != nil && a.ended.IsZero() {
				b.fault(ctx, r, done.server, a, now, "The new agent could not be brought: "+done.err.Error())
			}
		default:
			taken = false
		}
	}
	for server, a := range r.attempts {
		h := b.current(server)
		switch {
		case !a.ended.IsZero():
		case h != nil && h.link.Info.GetVersion() == b.config.Version:
			a.ended = now
			b.config.Log.InfoContext(ctx, "an agent has been updated", "server", server, "version", b.config.Version)
		case now.Sub(a.begun) > updateLimit+b.config.UpdateReport:
			b.fault(ctx, r, server, a, now, "The new agent did not report, so the old one goes on.")
		}
	}
	for _, server := range b.Held() {
		h := b.current(server)
		if h == nil || r.attempts[server] != nil || !cronium.OlderVersion(h.link.Info.GetVersion(), b.config.Version) {
			continue
		}
		if _, err := b.Binary(h.link.Info.GetArch()); err == nil && h.link.Info.GetOs() == "linux" {
			outdated = append(outdated, h) // the others stay as they are
		}
	}
	return outdated
}

// fault notes a failed attempt, which ends the roll-out.
func (b *Backend) fault(ctx context.Context, r *rollout, server cronium.ID, a *attempt, now time.Time, text string) {
	a.ended, a.fault, r.halted = now, text, &server
	b.config.Log.ErrorContext(ctx, "an agent was not updated, so no other is until that one is tried again", "server", server, "reason", text)
	if err := b.config.Updates.NoteAgentUpdate(ctx, server, text); err != nil {
		b.config.Log.WarnContext(ctx, "the failed update is not noted", "error", err)
	}
}

// tryAgain goes on with a roll-out that a failure has stopped, once what was noted
// of it has been taken back, or the agent has come with its new version after all.
func (b *Backend) tryAgain(ctx context.Context, r *rollout) {
	if r.halted == nil {
		return
	}
	fault, err := b.config.Updates.AgentUpdateFault(ctx, *r.halted)
	if err != nil {
		b.config.Log.WarnContext(ctx, "it is not known whether an update is to be tried again", "error", err)
		return
	}
	if fault == "" {
		b.config.Log.InfoContext(ctx, "agents are updated again", "server", *r.halted)
		maps.DeleteFunc(r.attempts, func(_ cronium.ID, a *attempt) bool { return a.fault != "" })
		r.halted = nil
	}
}

// bring begins an attempt.
func (b *Backend) bring(ctx context.Context, r *rollout, h *held, now time.Time) {
	binary, err := b.Binary(h.link.Info.GetArch())
	if err != nil {
		return // it was there a moment ago; the next step looks again
	}
	server := h.agent.ServerID
	r.attempts[server] = &attempt{begun: now}
	b.config.Log.InfoContext(ctx, "an agent is updated", "server", server, "from", h.link.Info.GetVersion(), "to", b.config.Version)
	b.task(func() {
		r.results <- result{server, h.update(context.WithoutCancel(ctx), binary)}
	})
}
