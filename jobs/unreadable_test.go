package jobs

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cronium.dev/cronium"
)

// damage makes the versions of an event unreadable.
func (s *site) damage(event cronium.ID) {
	s.Helper()
	if _, err := s.store.WorkerPool().Exec(s.Context(), `UPDATE event_versions SET content = '[]' WHERE event_id = $1`, event); err != nil {
		s.Fatal(err)
	}
}

func TestWhatCannotBeReadEndsWithTheReason(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	event := s.event(cronium.EventBash, "true", nil)
	running, queued := s.left(event, 0), s.stranded(event, 1)
	s.damage(event)
	p := s.startPuppet(puppet{find: unreachable})
	if _, err := p.requeueStranded(t.Context(), cronium.ID{}); err != nil {
		t.Error(err)
	}
	if content, err := p.Content(t.Context(), s.workspace, event, 1); err != nil || len(content.Files) != 0 {
		t.Errorf("pages get %+v, %v; want no content", content, err)
	}
	if row := s.final(queued.ID); row.Result != cronium.ResultFailure || !strings.Contains(row.Error, "cannot be read") || len(s.executions(queued.ID)) != 0 {
		t.Errorf("queued: %+v", row.Job)
	}
	row := s.final(running.ID)
	if e := s.executions(running.ID)[0]; row.Result != cronium.ResultFailure || e.Status != cronium.ExecutionLost || !strings.Contains(e.Error, "cannot be read") {
		t.Errorf("running: %+v, %+v", row.Job, e)
	}
}

func TestAnAdoptionThatFailsIsTriedAgainAfterGrowingPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, id := postponed{}, cronium.NewID()
		tries := 0
		for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(adoptInterval) {
			if len(p.now()) == 0 {
				tries++
				p.add(id)
			}
		}
		if tries < 10 || tries > 20 {
			t.Errorf("tried %d times in 10 minutes", tries)
		}
		time.Sleep(3 * time.Minute)
		if p.now(); len(p) != 0 {
			t.Error("one that is not postponed again is kept for ever")
		}
	})
}

func TestAPageThatAsksAgainDoesNotReadAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.startPuppet(puppet{})
	event := s.event(cronium.EventBash, "true", nil)
	for range 2 {
		content, err := p.Content(t.Context(), s.workspace, event, 1)
		if err != nil || len(content.Files) != 1 {
			t.Fatalf("%+v, %v", content, err)
		}
		s.damage(event) // the database is not asked any more
	}
	if content, err := p.Content(t.Context(), cronium.NewID(), event, 1); err != nil || len(content.Files) != 0 {
		t.Errorf("another workspace gets %+v, %v", content, err)
	}
}
