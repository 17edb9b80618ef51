package jobs

import (
	"crypto/sha256"
	"hash"

	"cronium.dev/cronium"
)

// digest is the hash of an output as it comes. Each stream has its own: how the
// two mix is chance, and would make equal outputs look different.
type digest struct {
	stdout, stderr hash.Hash
	bytes          int64 // of both
}

func (d *digest) add(chunks []cronium.Chunk) {
	d.begin()
	for _, c := range chunks {
		if c.Stream == cronium.Stderr {
			d.stderr.Write(c.Data)
		} else {
			d.stdout.Write(c.Data)
		}
		d.bytes += int64(len(c.Data))
	}
}

func (d *digest) begin() {
	if d.stdout == nil {
		d.stdout, d.stderr = sha256.New(), sha256.New()
	}
}

func (d *digest) sum() []byte {
	d.begin()
	sum := sha256.Sum256(d.stderr.Sum(d.stdout.Sum(nil)))
	return sum[:]
}
