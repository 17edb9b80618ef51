package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"

	"cronium.dev/cronium"
)

// TryStore counts tries in the database, for all server processes together.
type TryStore interface {
	// TakeTry counts one try for each limit before it is made, so that a
	// hundred tries at once are a hundred tries. If a limit makes it wait,
	// nothing is counted and the time to wait is returned.
	TakeTry(ctx context.Context, limits []cronium.TryLimit) (wait time.Duration, err error)
	// ReturnTry takes a try back because it was right, forgets the count of
	// the key forget, and sets the mark.
	ReturnTry(ctx context.Context, limits []cronium.TryLimit, forget, mark string) error
	// SweepSignIns removes counts, marks and sessions that are over.
	SweepSignIns(ctx context.Context) error
}

// signInLimits bound guessing by address and by account. The limit of the
// account does not count for addresses from which its owner has signed in
// before, and it waits a minute at most: a stranger who keeps guessing can
// delay the owner at a new place, not lock them out.
func signInLimits(email string, address netip.Addr) []cronium.TryLimit {
	return []cronium.TryLimit{
		addressLimit("sign-in", address),
		{
			Key: accountKey(email), Free: 5, First: 2 * time.Second, Longest: time.Minute, Forget: time.Hour,
			Unless: knownMark(email, address),
		},
	}
}

// addressLimit is wide, because many people may share one address.
func addressLimit(what string, address netip.Addr) cronium.TryLimit {
	return cronium.TryLimit{
		Key: what + "-address:" + network(address), Free: 20,
		First: 5 * time.Second, Longest: 15 * time.Minute, Forget: time.Hour,
	}
}

func accountKey(email string) string { return "account:" + digest(email) }

func knownMark(email string, address netip.Addr) string {
	return "known:" + digest(email+"\n"+network(address))
}

// network is the address as far as one person's reach is concerned: an IPv6
// subscriber has a whole /64.
func network(address netip.Addr) string {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if prefix, err := address.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return address.String()
}

// digest keeps keys short, and out of the table what people type into the
// wrong field.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// take counts a try, or says how long to wait.
func (s *Service) take(ctx context.Context, limits []cronium.TryLimit) error {
	wait, err := s.store.TakeTry(ctx, limits)
	if err != nil {
		return err
	}
	if wait > 0 {
		return &cronium.Error{
			Code:    cronium.CodeLimited,
			Message: "Too many tries. Wait " + inWords(wait) + ", then try again.",
			Wait:    wait,
		}
	}
	return nil
}

func inWords(d time.Duration) string {
	seconds := int((d + time.Second - 1) / time.Second)
	switch {
	case seconds <= 1:
		return "a second"
	case seconds <= 90:
		return strconv.Itoa(seconds) + " seconds"
	}
	return strconv.Itoa((seconds+59)/60) + " minutes"
}
