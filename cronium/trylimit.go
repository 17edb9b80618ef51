package cronium

import "time"

// TryLimit says how many tries (to sign in, say) a key has, and how long each
// one after that waits: First, doubled every time, at most Longest. After
// Forget without a try the count starts anew.
type TryLimit struct {
	Key     string
	Free    int
	First   time.Duration
	Longest time.Duration
	Forget  time.Duration
	// Unless names a mark: while it stands, the limit does not count.
	Unless string
}

// Wait is how long the next try waits when so many have been made.
func (l TryLimit) Wait(made int) time.Duration {
	if made < l.Free {
		return 0
	}
	wait := l.First
	for range made - l.Free {
		if wait *= 2; wait >= l.Longest {
			return l.Longest
		}
	}
	return min(wait, l.Longest)
}
