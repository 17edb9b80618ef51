package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cronium.dev/agent/spool"
)

func open(t *testing.T, dir string) *spool.Spool {
	t.Helper()
	s, err := spool.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func claim(t *testing.T, s *spool.Spool, id string, expiry time.Time) {
	t.Helper()
	if err := s.Claim(id, expiry); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.Dir(id), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestIdIsClaimedOnceWhateverHappensInBetween(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	later := time.Now().Add(time.Hour)
	claim(t, s, "a", later)
	claim(t, s, "b", later)
	if err := s.Forget("b"); err != nil {
		t.Fatal(err)
	}
	for restarts := range 3 {
		for _, id := range []string{"a", "b"} {
			if err := s.Claim(id, later); !errors.Is(err, spool.ErrUsed) || !s.Used(id) {
				t.Errorf("%s after %d restarts: %v", id, restarts, err)
			}
		}
		if ids := s.Executions(); len(ids) != 1 || ids[0] != "a" {
			t.Errorf("executions after %d restarts: %v", restarts, ids)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir)
	}
}

func TestForgottenIdIsDroppedOnceNobodyCanStartItAnyMore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	claim(t, s, "a", time.Now().Add(-time.Second))
	if err := s.Forget("a"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, dir)
	if s.Used("a") {
		t.Error("it is known for ever")
	}
	if _, err := os.Stat(s.Dir("a")); !os.IsNotExist(err) {
		t.Error("its directory is left")
	}
}

func TestHalfALineAtTheEndOfTheJournalIsIgnored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	claim(t, s, "a", time.Now().Add(time.Hour))
	s.Close()
	name := filepath.Join(dir, "journal")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	copy(raw[bytes.IndexByte(raw, 0):], "C half 17956")
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if ids := s.Executions(); len(ids) != 1 || ids[0] != "a" {
		t.Errorf("executions are %v", ids)
	}
	claim(t, s, "b", time.Now().Add(time.Hour))
	s.Close()
	if s = open(t, dir); !s.Used("b") || s.Used("half") {
		t.Error("the line after it is lost")
	}
}

func TestInstanceLastsAsLongAsTheSpoolHoldsSomething(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	first := s.Instance()
	claim(t, s, "a", time.Now().Add(time.Hour))
	s.Close()
	s = open(t, dir)
	if s.Instance() != first {
		t.Error("it changed though the spool holds an execution")
	}
	if err := s.Forget("a"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if s = open(t, dir); s.Instance() == first {
		t.Error("it did not change though the spool was empty")
	}
}

func TestJournalStaysSmall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	past := time.Now().Add(-time.Minute)
	for i := range 400 {
		id := fmt.Sprintf("%0200d", i)
		if err := s.Claim(id, past); err != nil {
			t.Fatal(err)
		}
		if err := s.Forget(id); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "journal")); err != nil || info.Size() > 66<<10 {
		t.Errorf("it has %d bytes, %v", info.Size(), err)
	}
}

func TestSpoolIsForOneAgent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := spool.Open(dir); err == nil {
		t.Error("it was opened twice")
	}
	s.Close()
	open(t, dir)
}
