package output

import (
	"container/heap"
	"context"
	"time"

	"cronium.dev/cronium"
)

// mergeBytes is about how much of all outputs together is in memory while they
// are merged.
const mergeBytes = 16 << 20

// MergeSource is one of the outputs that are merged.
type MergeSource struct {
	Name      string // of the server
	Execution *cronium.Execution
	From      int64 // line of it to begin with
}

// MergedLine is one line among those of other servers.
type MergedLine struct {
	Server      string     `json:"server"`
	ExecutionID cronium.ID `json:"execution_id"`
	At          time.Time  `json:"at" doc:"When its first byte was written"`
	Line
}

// Merge reads the lines of several executions in the order of time, for each
// in its own order, and gives them to take until that returns false. Each
// execution's clock begins at its start, so lines of different servers that were
// written within milliseconds may be exchanged.
func Merge(ctx context.Context, source Source, sources []MergeSource, take func(MergedLine) (more bool, err error)) error {
	m := make(merger, 0, len(sources))
	piece := max(min(readBytes, mergeBytes/max(len(sources), 1)), 4<<10)
	for _, s := range sources {
		if s.Execution.StartedAt == nil || s.Execution.OutputBytes == 0 {
			continue
		}
		one := &merging{MergeSource: s, lines: lineReader{reader: &Reader{source, s.Execution, piece}}}
		var err error
		if one.lines.at, one.lines.chunks, err = one.lines.reader.Find(ctx, s.From); err != nil {
			return err
		}
		more, err := one.advance(ctx)
		if err != nil {
			return err
		}
		if more {
			m = append(m, one)
		}
	}
	heap.Init(&m)
	for len(m) > 0 {
		first := m[0]
		more, err := take(first.next)
		if err != nil || !more {
			return err
		}
		if more, err = first.advance(ctx); err != nil {
			return err
		}
		if more {
			heap.Fix(&m, 0)
		} else {
			heap.Pop(&m)
		}
	}
	return nil
}

// merging is one output with its next line.
type merging struct {
	MergeSource
	lines lineReader
	next  MergedLine
}

func (m *merging) advance(ctx context.Context) (bool, error) {
	line, err := m.lines.next(ctx)
	if err != nil || line == nil {
		return false, err
	}
	at := m.Execution.StartedAt.Add(time.Duration(line.AtMS * float64(time.Millisecond)))
	if at.Before(m.next.At) {
		at = m.next.At // a script's two streams may come in another order
	}
	m.next = MergedLine{Server: m.Name, ExecutionID: m.Execution.ID, At: at, Line: *line}
	return true, nil
}

// merger is a heap: the earliest line first, and of the same moment that of the
// first name.
type merger []*merging

func (m merger) Len() int { return len(m) }
func (m merger) Less(i, j int) bool {
	if !m[i].next.At.Equal(m[j].next.At) {
		return m[i].next.At.Before(m[j].next.At)
	}
	return m[i].Name < m[j].Name
}
func (m merger) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *merger) Push(x any)   { *m = append(*m, x.(*merging)) }
func (m *merger) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
