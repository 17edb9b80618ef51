package handlers

import (
	"encoding/base64"
	"encoding/binary"

	"cronium.dev/cronium"
	"cronium.dev/output"
)

// mergedPlace is how far each server's output was read. As a cursor it holds
// those that have printed something, in a few bytes each: lines that one of them
// prints late come all the same, and none comes twice.
type mergedPlace struct {
	servers []serverPlace      // in the order of the job's servers
	at      map[cronium.ID]int // of an execution in servers
}

type serverPlace struct {
	position int // of the server in the job
	attempt  int // that was read: another one begins anew
	line     int64
}

// passed notes that a line was looked at.
func (p *mergedPlace) passed(line *output.MergedLine) {
	p.servers[p.at[line.ExecutionID]].line = line.N + 1
}

func (p *mergedPlace) encode() string {
	var b []byte
	before := -1
	for _, s := range p.servers {
		if s.line > 0 {
			b = binary.AppendUvarint(b, uint64(s.position-before))
			b = binary.AppendUvarint(b, uint64(s.attempt))
			b = binary.AppendUvarint(b, uint64(s.line))
			before = s.position
		}
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// decode has the sources, which are those of the servers, begin where a cursor
// says.
func (p *mergedPlace) decode(cursor string, sources []output.MergeSource) error {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	ok := err == nil
	next := func() int64 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > 1<<62 {
			ok, b = false, nil
			return 0
		}
		b = b[size:]
		return int64(n)
	}
	position, i := int64(-1), 0
	for len(b) > 0 {
		position += next()
		attempt, line := next(), next()
		for i < len(p.servers) && int64(p.servers[i].position) < position {
			i++
		}
		if s := p.servers; ok && i < len(s) && int64(s[i].position) == position && int64(s[i].attempt) == attempt {
			s[i].line, sources[i].From = line, line
		}
	}
	var problems cronium.Problems
	problems.Add(ok, "cursor", "must be next of an earlier answer")
	return problems.Err("The request")
}
