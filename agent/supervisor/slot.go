package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// slotPrefix begins the name of a slot's directory in the state directory.
const slotPrefix = "run-"

// Slot is the directory of one agent: its spool and where its scripts run.
type Slot struct {
	state  string
	number int
}

// NewSlot is the slot of a number.
func NewSlot(state string, number int) Slot { return Slot{state, number} }

func (s Slot) dir() string { return filepath.Join(s.state, slotPrefix+strconv.Itoa(s.number)) }

// Spool is what must not get lost.
func (s Slot) Spool() string { return filepath.Join(s.dir(), "spool") }

// Work is where scripts run.
func (s Slot) Work() string { return filepath.Join(s.dir(), "work") }

// Others are the instances of the agents in the other slots. A slot is there for
// as long as its agent is not done.
func (s Slot) Others() []string {
	var others []string
	for _, other := range slots(s.state) {
		if other == s {
			continue
		}
		if name, err := os.ReadFile(filepath.Join(other.Spool(), "instance")); err == nil && len(name) > 0 {
			others = append(others, string(name))
		}
	}
	return others
}

// slots are those that are there, in the order of their numbers.
func slots(state string) []Slot {
	entries, _ := os.ReadDir(state) // none, where it cannot be read; whoever needs it says so
	var all []Slot
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), slotPrefix)
		if n, err := strconv.Atoi(rest); ok && err == nil && n > 0 {
			all = append(all, Slot{state, n})
		}
	}
	slices.SortFunc(all, func(a, b Slot) int { return a.number - b.number })
	return all
}

// used tells whether the slot holds executions that the server has not taken.
func (s Slot) used() bool {
	entries, err := os.ReadDir(filepath.Join(s.Spool(), "executions"))
	return err == nil && len(entries) > 0
}

// make makes the directory. Scripts of other users, as whom root's agent may run
// them, get through it to their own directories.
func (s Slot) make() error {
	for _, dir := range []string{s.state, s.dir(), s.Work()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the agent's directory: %w", err)
		}
		if os.Getuid() != 0 {
			continue
		}
		if err := os.Chmod(dir, 0o711); err != nil {
			return fmt.Errorf("make the agent's directory: %w", err)
		}
	}
	return nil
}

func (s Slot) remove() error { return os.RemoveAll(s.dir()) }
