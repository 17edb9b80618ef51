package spool_test

import (
	"fmt"
	"testing"
	"time"

	"cronium.dev/agent/spool"
)

// BenchmarkClaim measures what makes an id durable, on the disk of the
// temporary directory.
func BenchmarkClaim(b *testing.B) {
	s, err := spool.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	expiry := time.Now().Add(time.Hour)
	for i := 0; b.Loop(); i++ {
		if err := s.Claim(fmt.Sprintf("%036d", i), expiry); err != nil {
			b.Fatal(err)
		}
	}
}
