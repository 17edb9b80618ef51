package dial

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"cronium.dev/agent/tunnel"
)

// joinTries is how often a server that has no time is asked again.
const joinTries = 5

// Joining is what it takes to join.
type Joining struct {
	URL     string
	Code    tunnel.Code
	Dir     string // the state directory; made if it is not there
	Version string // of the agent
	Replace bool   // a machine that has joined before may join anew
}

// Join makes a key, has the server of the code take it in, and writes the
// identity. The key is on the disk before it is sent: whatever fails, joining
// again with the same code goes on with it. It fails with tunnel.ErrServerKey when
// who answers is not the server that the code is of.
func Join(ctx context.Context, j Joining) (*Identity, error) {
	u, err := tunnel.CheckURL(j.URL)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	if known, err := Load(j.Dir); err == nil && !j.Replace {
		return nil, fmt.Errorf("this machine has joined %s as %s already; --replace joins anew", known.URL(), known.Name())
	} else if err != nil && !errors.Is(err, ErrNotJoined) && !j.Replace {
		return nil, err
	}
	seed, err := pendingKey(j.Dir)
	if err != nil {
		return nil, err
	}
	answer, err := ask(ctx, j, ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, err
	}
	i := &Identity{dir: j.Dir, file: identity{URL: u.String(), Server: j.Code.Server, Target: answer.Target, Name: answer.Name, Key: seed}}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.save(); err != nil {
		return nil, err
	}
	return i, dropPending(j.Dir)
}

// ask asks until there is an answer that stays.
func ask(ctx context.Context, j Joining, key ed25519.PrivateKey) (*tunnel.JoinAnswer, error) {
	for try := 1; ; try++ {
		answer, err := askOnce(ctx, j, key)
		var ended *tunnel.Ended
		switch {
		case errors.As(err, &ended) && ended.Reason == tunnel.ReasonBusy:
			answer = &tunnel.JoinAnswer{Error: ended.Text, Again: 5}
		case err != nil:
			return nil, err
		case answer.Error == "":
			return answer, nil
		}
		if answer.Again == 0 || try == joinTries {
			return nil, fmt.Errorf("the server did not let this machine join: %s", answer.Error)
		}
		if !pause(ctx, time.Duration(answer.Again)*time.Second) {
			return nil, ctx.Err()
		}
	}
}

func askOnce(ctx context.Context, j Joining, key ed25519.PrivateKey) (*tunnel.JoinAnswer, error) {
	conn, err := tunnel.Dial(ctx, j.URL, tunnel.Agent{Key: key, Server: j.Code.Server, Protocol: tunnel.ProtocolJoin, Version: j.Version})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	hostname, _ := os.Hostname() // empty is an answer
	question := tunnel.JoinQuestion{Secret: j.Code.Secret[:], Hostname: hostname, OS: runtime.GOOS, Arch: runtime.GOARCH, Version: j.Version}
	if err := tunnel.WriteMessage(conn, question); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	answer := &tunnel.JoinAnswer{}
	if err := tunnel.ReadMessage(conn, answer); err != nil {
		return nil, fmt.Errorf("join: the server has not answered; try again: %w", err)
	}
	return answer, nil
}

// pause waits. False: the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// newSeed is a new key.
func newSeed() []byte {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails: it ends the program without randomness
	return seed
}
