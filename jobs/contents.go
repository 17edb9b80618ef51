package jobs

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/store"
)

// maxContents bounds the memory for versions that ran lately, in bytes.
const maxContents = 64 << 20

// prepared is a version of an event, ready to be sent to an agent.
type prepared struct {
	cronium.Content
	files []*proto.File
	blobs map[string][]byte // by hex SHA-256
	size  int
}

type contentKey struct {
	workspace, event cronium.ID
	version          int
}

// contents keeps the versions that ran lately. They never change, so nothing
// is ever stale.
type contents struct {
	store *store.Store
	mu    sync.Mutex
	byKey map[contentKey]*list.Element // of *contentEntry
	order *list.List                   // most recently used first
	size  int
}

type contentEntry struct {
	key contentKey
	*prepared
}

func newContents(s *store.Store) *contents {
	return &contents{store: s, byKey: map[contentKey]*list.Element{}, order: list.New()}
}

// Content is what a version of an event runs, from memory where it ran or was
// asked for lately: a page that is open asks at each change. It is shared, and
// must not be changed. Of a version that cannot be read any more it is empty.
func (e *Engine) Content(ctx context.Context, workspace, event cronium.ID, version int) (cronium.Content, error) {
	content, err := e.content.get(ctx, workspace, event, version)
	if unreadable(err) {
		return cronium.Content{}, nil
	}
	if err != nil {
		return cronium.Content{}, err
	}
	return content.Content, nil
}

func (c *contents) get(ctx context.Context, workspace, event cronium.ID, version int) (*prepared, error) {
	key := contentKey{workspace, event, version}
	if p := c.cached(key); p != nil {
		return p, nil
	}
	content, err := c.store.Content(ctx, workspace, event, version)
	if err != nil {
		return nil, err
	}
	p := prepare(content)
	c.keep(key, p)
	return p, nil
}

func (c *contents) cached(key contentKey) *prepared {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.byKey[key]; ok {
		c.order.MoveToFront(element)
		return element.Value.(*contentEntry).prepared
	}
	return nil
}

func (c *contents) keep(key contentKey, p *prepared) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok {
		return
	}
	c.byKey[key] = c.order.PushFront(&contentEntry{key, p})
	c.size += p.size
	for c.size > maxContents && c.order.Len() > 1 {
		oldest := c.order.Remove(c.order.Back()).(*contentEntry)
		delete(c.byKey, oldest.key)
		c.size -= oldest.size
	}
}

func prepare(content *cronium.Content) *prepared {
	p := &prepared{Content: *content, blobs: map[string][]byte{}}
	for _, f := range content.Files {
		sum := sha256.Sum256([]byte(f.Content))
		digest := hex.EncodeToString(sum[:])
		p.files = append(p.files, &proto.File{Name: f.Name, Sha256: digest, Size: int64(len(f.Content)), Mode: 0o644})
		p.blobs[digest] = []byte(f.Content)
		p.size += len(f.Content) + 200
	}
	p.size += len(content.Input) + len(content.InputSchema) + 1000
	return p
}
