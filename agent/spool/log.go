package spool

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	agentproto "cronium.dev/agent/proto"
)

// ErrRange says that output was asked for from an offset that is not kept: it
// was acknowledged and removed, or never written.
var ErrRange = errors.New("that part of the output is not kept")

// MaxRecord is the most bytes one record holds.
const MaxRecord = 32 << 10

// Sizes of a log's parts in bytes.
const (
	defaultLimit   = 8 << 20
	minSegment     = 64 << 10
	maxSegment     = 1 << 20
	maxMemory      = 256 << 10 // output held in memory while the disk takes none
	segmentPattern = "output.*"
)

// Log is the output of one execution, both streams together, as records of at
// most MaxRecord bytes. Each byte has an offset. Acknowledged output is removed
// by whole segments. The log never holds much more than its limit: who writes
// asks Room first.
//
// When the disk takes no more, a little output goes on in memory, so that a
// script which has filled the disk can still say so. One goroutine may write;
// reading and acknowledging may happen from others.
type Log struct {
	dir     string
	limit   int64
	segSize int64

	mu       sync.Mutex
	segments []*segment // oldest first
	end      uint64     // offset after the last byte
	kept     uint64     // offset from which on all is there
	acked    uint64
	disk     int64 // bytes of all segment files
	memory   int64 // bytes held in memory
	trouble  error // the last refusal of the disk
	room     chan struct{}
	closed   bool
}

// NewLog makes an empty log in a directory. limit is how many bytes may be kept
// unacknowledged; 0 stands for 8 MiB.
func NewLog(dir string, limit int64) *Log {
	if limit <= 0 {
		limit = defaultLimit
	}
	return &Log{
		dir: dir, limit: limit,
		segSize: min(max(limit/8, minSegment), maxSegment),
		room:    make(chan struct{}, 1),
	}
}

// OpenLog reads a log that an earlier agent has left. What was written of a
// last record that is not whole is cut off.
func OpenLog(dir string) (*Log, error) {
	l := NewLog(dir, 0)
	names, err := filepath.Glob(filepath.Join(dir, segmentPattern))
	if err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}
	for _, name := range names { // Glob sorts, and names sort by offset
		seg, err := openSegment(name)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("open output: %w", err)
		}
		if len(l.segments) > 0 && seg.first != l.end {
			seg.remove() // behind a gap, nothing can be told
			continue
		}
		l.segments = append(l.segments, seg)
		l.end = seg.end
		l.disk += seg.size
	}
	if len(l.segments) > 0 {
		l.acked = l.segments[0].first
		l.kept = l.acked
	}
	return l, nil
}

// Append writes a record of at most MaxRecord bytes. at is in microseconds
// since the process started.
func (l *Log) Append(stream agentproto.Stream, at int64, data []byte) {
	if len(data) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	var head [headerSize]byte
	putHeader(head[:], stream, at, l.end, data)
	last := l.last()
	if last == nil || last.full(l.segSize) || last.mem != nil && l.memory > maxMemory/4 {
		last = l.grow()
	}
	if err := last.write(head[:], data); err != nil {
		l.trouble = err
		last = l.growInMemory()
		last.write(head[:], data) // memory does not refuse
	}
	written := int64(headerSize + len(data))
	if last.mem != nil {
		l.memory += written
	} else {
		l.disk += written
	}
	l.end += uint64(len(data))
}

func (l *Log) last() *segment {
	if len(l.segments) == 0 {
		return nil
	}
	return l.segments[len(l.segments)-1]
}

// grow adds a segment: a file if the disk takes one.
func (l *Log) grow() *segment {
	seg, err := createSegment(l.dir, l.end)
	if err != nil {
		l.trouble = err
		return l.growInMemory()
	}
	l.segments = append(l.segments, seg)
	// After a time in memory an acknowledged file may have stayed as the newest;
	// together with this one it would look as if something were missing.
	l.dropAcknowledged()
	return seg
}

func (l *Log) growInMemory() *segment {
	seg := &segment{first: l.end, end: l.end, mem: []byte{}}
	l.segments = append(l.segments, seg)
	return seg
}

// Room returns when more output may be kept, and false once done is closed.
func (l *Log) Room(done <-chan struct{}) bool {
	for waited := false; ; waited = true {
		if l.hasRoom() {
			if waited {
				l.tellRoom() // another may be waiting too
			}
			return true
		}
		select {
		case <-l.room:
		case <-done:
			return false
		}
	}
}

func (l *Log) hasRoom() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Records of a few bytes take more of the disk than their data.
	return int64(l.end-l.acked) < l.limit && l.disk < 2*l.limit+2*l.segSize && l.memory < maxMemory
}

// Acknowledge tells that the output before offset is stored elsewhere and may
// be removed. An offset beyond the end fails with ErrRange.
func (l *Log) Acknowledge(offset uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if offset > l.end {
		return fmt.Errorf("acknowledge output up to %d of %d: %w", offset, l.end, ErrRange)
	}
	if offset <= l.acked {
		return nil
	}
	l.acked = offset
	l.dropAcknowledged()
	l.tellRoom()
	return nil
}

// dropAcknowledged removes the segments that nobody needs. The newest file
// stays in any case: it is what tells an agent to come how far the output went.
// l.mu is held.
func (l *Log) dropAcknowledged() {
	newest := 0
	for i, seg := range l.segments {
		if seg.file != nil {
			newest = i
		}
	}
	kept := l.segments[:0]
	for i, seg := range l.segments {
		if seg.end > l.acked || seg.file != nil && i == newest {
			kept = append(kept, seg)
			continue
		}
		if seg.mem != nil {
			l.memory -= seg.size
		} else {
			l.disk -= seg.size
		}
		l.kept = max(l.kept, seg.end)
		seg.remove()
	}
	clear(l.segments[len(kept):])
	l.segments = kept
}

func (l *Log) tellRoom() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}

// End is the offset after the last byte.
func (l *Log) End() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

// Acknowledged is the offset up to which output has been acknowledged.
func (l *Log) Acknowledged() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// Trouble is the last error of the disk, nil if there was none.
func (l *Log) Trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble
}

// Close closes the files and keeps them. Later calls of Append do nothing.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, seg := range l.segments {
		if seg.file != nil {
			seg.file.Close()
		}
	}
}

// readFrom fills buf with whole records as they lie in the log, beginning with
// the one that holds offset, and returns how many bytes it has written; 0 if
// there is nothing at offset yet. buf holds at least one largest record.
func (l *Log) readFrom(c *cursor, buf []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.offset > l.end || c.offset < l.kept {
		return 0, fmt.Errorf("read output from %d (kept: %d to %d): %w", c.offset, l.kept, l.end, ErrRange)
	}
	if c.offset == l.end || l.closed {
		return 0, nil
	}
	if c.segment == nil || c.offset >= c.segment.end || c.offset < c.segment.first {
		for _, seg := range l.segments {
			if c.offset < seg.end {
				c.segment, c.position = seg, 0
				break
			}
		}
	}
	n := min(int64(len(buf)), c.segment.size-c.position)
	if err := c.segment.read(buf[:n], c.position); err != nil {
		return 0, fmt.Errorf("read output: %w", err)
	}
	return int(n), nil
}
