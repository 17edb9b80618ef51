package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Waits before an agent that has ended is started again.
const (
	firstWait   = time.Second
	longestWait = 30 * time.Second
	wellFor     = time.Minute // an agent that lived so long counts as a good one
)

// Config is what a supervisor needs to know.
type Config struct {
	State   string
	Program string   // the agent's file: what is run, and what an update takes the place of
	Flags   []string // for the agents
	Log     *slog.Logger
}

type supervisor struct {
	Config
	events   chan event
	children sync.WaitGroup

	main    *child // nil between two starts
	begun   time.Time
	wait    time.Duration
	again   *time.Timer // starts main
	drained []*child
	undone  []Slot      // whose draining agent has failed
	redo    *time.Timer // starts those
	trial   *child      // a new program that has not reported
	limit   *time.Timer
}

// Run runs the agent until the context ends, and then ends it, with its scripts.
func Run(ctx context.Context, config Config) error {
	s := &supervisor{Config: config, events: make(chan event), wait: firstWait, again: stopped(), limit: stopped(), redo: stopped()}
	if err := s.begin(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case e := <-s.events:
			s.handle(e)
		case <-s.again.C:
			s.restart()
		case <-s.redo.C:
			undone := s.undone
			s.undone = nil
			for _, slot := range undone {
				s.finish(slot)
			}
		case <-s.limit.C:
			s.rollBack("it did not reach the server in time")
		}
	}
	s.end()
	return nil
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// begin starts the agents of the slots that are there: the newest is the one
// that takes what is new.
func (s *supervisor) begin() error {
	leftovers, _ := filepath.Glob(s.Program + ".update-*") // a pattern of our own
	for _, name := range leftovers {
		os.Remove(name)
	}
	newest := Slot{s.State, 1}
	if all := slots(s.State); len(all) > 0 {
		newest = all[len(all)-1]
		for _, slot := range all[:len(all)-1] {
			s.finish(slot)
		}
	}
	var err error
	s.main, err = s.start(newest, s.Program, false)
	s.begun = time.Now()
	return err
}

// finish has what is left in a slot taken by the server, or removes the slot.
func (s *supervisor) finish(slot Slot) {
	if !slot.used() {
		if err := slot.remove(); err != nil {
			s.Log.Warn("the directory of an agent that is done was not removed", "error", err)
		}
		return
	}
	c, err := s.start(slot, s.Program, true)
	if err != nil {
		s.Log.Error("what an older agent ran cannot be given to the server now", "slot", slot.number, "error", err)
		return
	}
	s.drained = append(s.drained, c)
}

func (s *supervisor) handle(e event) {
	switch {
	case e.report == nil:
		s.ended(e.child, e.failed)
	case e.report.Connected && e.child == s.trial:
		s.accept()
	case e.report.Update != nil && e.child == s.main:
		s.try(e.report.Update.Path, e.report.Update.Version, e.report.Update.Report)
	case e.report.Update != nil:
		os.Remove(e.report.Update.Path) // only the present agent brings its successor
	}
}

// ended is called for an agent that has ended, for whatever reason.
func (s *supervisor) ended(c *child, failed error) {
	c.input.Close()
	switch {
	case c == s.trial:
		s.trial = nil
		s.limit.Stop()
		s.Log.Error("the new program of the agent has ended before it reached the server; the old one goes on", "error", failed)
		s.drop(c)
	case c == s.main:
		s.main = nil
		if time.Since(s.begun) > wellFor {
			s.wait = firstWait
		}
		s.Log.Warn("the agent has ended; starting it again", "error", failed, "in", s.wait.String())
		s.again.Reset(s.wait)
		s.wait = min(2*s.wait, longestWait)
	default:
		for i, d := range s.drained {
			if d == c {
				s.drained = append(s.drained[:i], s.drained[i+1:]...)
				break
			}
		}
		if failed != nil {
			s.undone = append(s.undone, c.slot)
			s.redo.Reset(longestWait)
			return
		}
		s.finish(c.slot)
	}
}

// restart starts the agent again after it has ended.
func (s *supervisor) restart() {
	newest := Slot{s.State, 1}
	for _, slot := range slots(s.State) {
		if !s.isDraining(slot) && (s.trial == nil || s.trial.slot != slot) {
			newest = slot
		}
	}
	main, err := s.start(newest, s.Program, false)
	if err != nil {
		s.Log.Error("the agent cannot be started", "error", err)
		s.again.Reset(s.wait)
		return
	}
	s.main, s.begun = main, time.Now()
}

func (s *supervisor) isDraining(slot Slot) bool {
	if slices.Contains(s.undone, slot) {
		return true
	}
	for _, d := range s.drained {
		if d.slot == slot {
			return true
		}
	}
	return false
}

// try starts a new program beside the old one.
func (s *supervisor) try(path, version string, report time.Duration) {
	if s.trial != nil {
		os.Remove(path)
		return
	}
	all := slots(s.State)
	next := Slot{s.State, all[len(all)-1].number + 1}
	s.Log.Info("a new program has come for the agent", "version", version)
	trial, err := s.start(next, path, false)
	if err != nil {
		s.Log.Error("the new program of the agent cannot be started; the old one goes on", "error", err)
		os.Remove(path)
		_ = next.remove() // it is empty, and removed at the next start as well
		return
	}
	s.trial = trial
	s.limit.Reset(report)
}

// accept puts the new program in the place of the old one, which drains.
func (s *supervisor) accept() {
	trial := s.trial
	if err := os.Rename(trial.program, s.Program); err != nil {
		s.rollBack(fmt.Sprintf("it cannot take the place of the old one: %v", err))
		return
	}
	s.limit.Stop()
	s.Log.Info("the new program of the agent has reached the server and takes over")
	if s.main != nil {
		s.main.drain()
		s.drained = append(s.drained, s.main)
	}
	s.again.Stop()
	s.trial, s.main, s.begun, s.wait = nil, trial, time.Now(), firstWait
}

// rollBack ends a new program.
func (s *supervisor) rollBack(why string) {
	if s.trial == nil {
		return
	}
	s.Log.Error("the new program of the agent is taken back; the old one goes on", "reason", why)
	_ = s.trial.process.Kill() // it may have ended
}

// drop removes what a new program has left.
func (s *supervisor) drop(c *child) {
	os.Remove(c.program)
	if err := c.slot.remove(); err != nil {
		s.Log.Warn("the directory of an agent that was taken back was not removed", "error", err)
	}
}

// end ends all agents and waits for them.
func (s *supervisor) end() {
	for _, c := range append(s.drained, s.main, s.trial) {
		if c != nil {
			c.input.Close()
		}
	}
	done := make(chan struct{})
	go func() {
		s.children.Wait()
		close(done)
	}()
	for {
		select {
		case <-s.events:
		case <-done:
			return
		}
	}
}
