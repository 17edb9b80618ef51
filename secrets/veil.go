package secrets

import (
	"encoding/json"
	"sync/atomic"

	"cronium.dev/cronium"
)

// Hidden is what must not be readable in what one run gives out: it only grows,
// because what a script has once read it may print. Its methods may be called
// concurrently.
type Hidden struct{ mask atomic.Pointer[Mask] }

// NewHidden begins with a mask.
func NewHidden(mask *Mask) *Hidden {
	h := &Hidden{}
	h.mask.Store(mask)
	return h
}

// Add hides more values from now on.
func (h *Hidden) Add(values ...[]byte) {
	for {
		old := h.mask.Load()
		if h.mask.CompareAndSwap(old, old.With(values...)) {
			return
		}
	}
}

// Mask is what is hidden now.
func (h *Hidden) Mask() *Mask { return h.mask.Load() }

// Plain is a value in JSON as a script prints it: a text without its quotes.
func Plain(value json.RawMessage) []byte {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return value
	}
	return []byte(text)
}

// What a Veil holds back at most before it has to give something out.
const (
	heldBytes  = 256 << 10
	heldPieces = 8192
)

// Veil masks an output of two streams as it comes, in pieces of any size. Bytes
// are replaced by as many asterisks, so that offsets stay what they are. The end
// of a stream that may be the beginning of a secret is held back until what
// follows tells, and with it all that came later on the other stream, because
// output is stored in its order. One goroutine may use it.
type Veil struct {
	hidden  *Hidden
	streams map[cronium.Stream]*veiled
	queue   []piece // in order, not given out yet
	bytes   int     // in queue
}

// piece is a chunk, and where it is in its stream.
type piece struct {
	cronium.Chunk
	at int64
}

// veiled is one stream.
type veiled struct {
	end    int64  // position after the last byte that came
	tail   []byte // the last bytes that came, as they were
	sure   int64  // position from which bytes may be the beginning of a secret
	covers int    // how long the shortest such secret is
}

// NewVeil begins with an empty output.
func NewVeil(hidden *Hidden) *Veil {
	return &Veil{hidden: hidden, streams: map[cronium.Stream]*veiled{}}
}

// Held is how many bytes are held back.
func (v *Veil) Held() int { return v.bytes }

// Add takes chunks, which are the Veil's from now on, and gives those that are
// ready: masked, in the order in which they came.
func (v *Veil) Add(chunks []cronium.Chunk) []cronium.Chunk {
	mask := v.hidden.Mask()
	if mask.Empty() && len(v.queue) == 0 {
		return chunks
	}
	for _, c := range chunks {
		v.add(mask, c)
	}
	ready := v.ready()
	if v.bytes > heldBytes || len(v.queue) > heldPieces {
		ready = append(ready, v.Rest()...)
	}
	return ready
}

func (v *Veil) add(mask *Mask, c cronium.Chunk) {
	s := v.streams[c.Stream]
	if s == nil {
		s = &veiled{}
		v.streams[c.Stream] = s
	}
	at := s.end
	v.queue = append(v.queue, piece{Chunk: c, at: at})
	v.bytes += len(c.Data)
	s.end += int64(len(c.Data))

	// Secrets that begin in what came before, and those that begin in this.
	before := at - int64(len(s.tail))
	edge := append(s.tail, c.Data[:min(len(c.Data), maxPattern-1)]...)
	across := mask.find(edge, len(s.tail), nil)
	within := mask.find(c.Data, len(c.Data), nil)
	if len(c.Data) < maxPattern-1 {
		s.tail = edge[max(0, len(edge)-maxPattern+1):]
	} else {
		s.tail = append(s.tail[:0:0], c.Data[len(c.Data)-maxPattern+1:]...)
	}
	length, covers := mask.begun(s.tail)
	s.sure, s.covers = s.end-int64(length), covers
	for _, f := range across {
		v.cover(c.Stream, before+int64(f.from), before+int64(f.to))
		s.pass(before+int64(f.from), before+int64(f.to))
	}
	for _, f := range within {
		stars(c.Data[f.from:f.to])
		s.pass(at+int64(f.from), at+int64(f.to))
	}
}

// pass moves sure over a part that is masked already. Parts come in the order in
// which they begin.
func (s *veiled) pass(from, to int64) {
	if from <= s.sure && s.sure < to {
		s.sure = to
	}
}

// cover masks a part of a stream, as far as it is still here.
func (v *Veil) cover(stream cronium.Stream, from, to int64) {
	for i := len(v.queue) - 1; i >= 0; i-- {
		p := &v.queue[i]
		if p.Stream != stream {
			continue
		}
		end := p.at + int64(len(p.Data))
		if end <= from {
			return
		}
		if p.at < to {
			stars(p.Data[max(from-p.at, 0):min(to-p.at, int64(len(p.Data)))])
		}
	}
}

// ready takes from the queue what no later byte can change.
func (v *Veil) ready() []cronium.Chunk {
	var ready []cronium.Chunk
	for i := range v.queue {
		p := &v.queue[i]
		n := min(v.streams[p.Stream].sure-p.at, int64(len(p.Data)))
		if n > 0 {
			first := p.Chunk
			first.Data = p.Data[:n:n]
			ready = append(ready, first)
			v.bytes -= int(n)
		}
		if n < int64(len(p.Data)) {
			n = max(n, 0)
			p.Data, p.at = p.Data[n:], p.at+n
			if i > 0 {
				v.queue = append(v.queue[:0:0], v.queue[i:]...)
			}
			return ready
		}
	}
	v.queue = nil
	return ready
}

// Rest gives all that is held back, because nothing follows or nobody shall wait
// any longer. A beginning that is most likely a secret's is masked: from three
// bytes on, or from half of it.
func (v *Veil) Rest() []cronium.Chunk {
	for stream, s := range v.streams {
		if begun := s.end - s.sure; begun >= 3 || begun > 0 && 2*begun >= int64(s.covers) {
			v.cover(stream, s.sure, s.end)
		}
		s.sure = s.end
	}
	return v.ready()
}
