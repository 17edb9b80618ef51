package ssh

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// How long what nobody uses is kept.
const (
	linkIdle = 5 * time.Minute
	lineIdle = 30 * time.Second
)

// connecting is how many machines are connected to at once.
const connecting = 32

// agentIdle is after which time an agent without a connection and without a
// script ends itself.
const agentIdle = 15 * time.Minute

// Config is what a Backend needs to know.
type Config struct {
	Servers Directory
	Agents  map[string]string // files of the agent's binary, by architecture: "amd64", "arm64"
	Key     ed25519.PublicKey // of the instance; agents accept its manifests alone
	Idle    time.Duration     // after which an unused agent ends; 0 = 15 minutes
	Log     *slog.Logger
}

// binary is an agent for one architecture.
type binary struct {
	file   *os.File
	digest string // hex SHA-256
	size   int64
}

// Backend runs scripts on servers. Its methods may be called concurrently.
type Backend struct {
	config Config
	key    string // base64
	agents map[string]*binary
	places chan struct{} // one for each machine being connected to

	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu    sync.Mutex
	lines map[string]*keeper[*line]
	links map[linkKey]*keeper[*attached]
}

// New reads the agents' binaries. Close ends what the backend has opened.
func New(config Config) (*Backend, error) {
	if config.Idle == 0 {
		config.Idle = agentIdle
	}
	b := &Backend{
		config: config, key: base64.StdEncoding.EncodeToString(config.Key), agents: map[string]*binary{},
		places: make(chan struct{}, connecting),
		lines:  map[string]*keeper[*line]{}, links: map[linkKey]*keeper[*attached]{},
	}
	for arch, path := range config.Agents {
		a, err := openBinary(path)
		if err != nil {
			b.closeBinaries()
			return nil, err
		}
		b.agents[arch] = a
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b, nil
}

// openBinary keeps the file open, so that an upgrade on the disk changes nothing
// for this process.
func openBinary(path string) (*binary, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the agent: %w", err)
	}
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("read the agent: %w", err)
	}
	return &binary{file: file, digest: hex.EncodeToString(hash.Sum(nil)), size: size}, nil
}

// Close ends every connection. What runs on the servers goes on.
func (b *Backend) Close() {
	b.cancel()
	b.mu.Lock()
	lines, links := b.lines, b.links
	b.lines, b.links = map[string]*keeper[*line]{}, map[linkKey]*keeper[*attached]{}
	b.mu.Unlock()
	for _, k := range links {
		k.end()
	}
	for _, k := range lines {
		k.end()
	}
	b.workers.Wait()
	b.closeBinaries()
}

func (b *Backend) closeBinaries() {
	for _, a := range b.agents {
		a.file.Close()
	}
}

// Warm has nothing: the connection itself is what is kept warm.
func (b *Backend) Warm(executor.Spec) executor.Place { return nil }

// Create makes sure that there is a connection to the server's agent.
func (b *Backend) Create(ctx context.Context, spec executor.Spec, progress func(string)) (executor.Place, error) {
	if err := CheckUser(spec.RunAs); err != nil {
		return nil, err
	}
	k := b.linkKeeper(linkKey{server: spec.ServerID, user: spec.RunAs})
	if !k.peek() {
		progress("Connecting to the server.")
	}
	a, release, err := k.get(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return &place{
		backend: b, server: spec.ServerID, execution: spec.ExecutionID,
		user: spec.RunAs, digest: a.digest, instance: a.link.Info.GetInstance(),
	}, nil
}

// Drop has the next use of a server connect anew: its address, credential or
// key have changed. What uses the present connection keeps it.
func (b *Backend) Drop(server cronium.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, k := range b.links {
		if key.server == server {
			k.drop()
		}
	}
	for route, k := range b.lines {
		if onRoute(route, server) {
			k.drop()
		}
	}
}

// userName is what Linux takes for one, and directories of companies give.
var userName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.@-]{0,62}\$?$`)

// CheckUser fails unless the name can be a user's; "" is the login itself.
func CheckUser(name string) error {
	if name == "" || userName.MatchString(name) {
		return nil
	}
	return cronium.Errorf(cronium.CodeInvalid, "%q cannot be the name of a user: letters, digits, \"_\", \".\", \"@\" and \"-\" are accepted, a letter or \"_\" first.", name)
}

func (b *Backend) log(ctx context.Context, message string, args ...any) {
	b.config.Log.WarnContext(ctx, message, args...)
}
