package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	agentproto "cronium.dev/agent/proto"
)

// A record is a header and data, little-endian:
//
//	0  checksum of all that follows, data included (CRC-32C)
//	4  length of the data
//	8  offset of the data in the output
//	16 microseconds since the start; the stream in the highest byte
const headerSize = 24

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func putHeader(head []byte, stream agentproto.Stream, at int64, offset uint64, data []byte) {
	binary.LittleEndian.PutUint32(head[4:], uint32(len(data)))
	binary.LittleEndian.PutUint64(head[8:], offset)
	binary.LittleEndian.PutUint64(head[16:], uint64(at)&(1<<56-1)|uint64(stream)<<56)
	binary.LittleEndian.PutUint32(head, checksum(head, data))
}

func checksum(head, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[4:headerSize], castagnoli), castagnoli, data)
}

// Record is a piece of output. Data is valid until the next call of Next.
type Record struct {
	Offset uint64
	Stream agentproto.Stream
	At     int64 // microseconds since the process started
	Data   []byte
}

// parseRecord takes the first record of p; size is what it takes there, 0 if p
// does not hold the whole of it.
func parseRecord(p []byte) (r Record, size int) {
	if len(p) < headerSize {
		return Record{}, 0
	}
	length := int(binary.LittleEndian.Uint32(p[4:]))
	if length > MaxRecord || len(p) < headerSize+length {
		return Record{}, 0
	}
	at := binary.LittleEndian.Uint64(p[16:])
	return Record{
		Offset: binary.LittleEndian.Uint64(p[8:]),
		Stream: agentproto.Stream(at >> 56),
		At:     int64(at & (1<<56 - 1)),
		Data:   p[headerSize : headerSize+length],
	}, headerSize + length
}

// segment is a run of records in a file, or in memory while the disk is full.
type segment struct {
	first, end uint64 // offsets in the output
	size       int64  // bytes, headers included
	file       *os.File
	mem        []byte
	sealed     bool // the disk has refused: nothing more is written here
}

func createSegment(dir string, first uint64) (*segment, error) {
	name := filepath.Join(dir, fmt.Sprintf("output.%016x", first))
	file, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &segment{first: first, end: first, file: file}, nil
}

// openSegment reads a file to the last record that is whole.
func openSegment(name string) (*segment, error) {
	var first uint64
	if _, err := fmt.Sscanf(filepath.Base(name), "output.%x", &first); err != nil {
		return nil, fmt.Errorf("%s: not a segment of output", name)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	seg := &segment{first: first, end: first, sealed: true}
	for rest := raw; ; {
		r, size := parseRecord(rest)
		if size == 0 || r.Offset != seg.end || checksum(rest, r.Data) != binary.LittleEndian.Uint32(rest) {
			break
		}
		seg.end += uint64(len(r.Data))
		seg.size += int64(size)
		rest = rest[size:]
	}
	if seg.file, err = os.OpenFile(name, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	return seg, nil
}

func (s *segment) full(limit int64) bool { return s.sealed || s.size >= limit }

func (s *segment) write(head, data []byte) error {
	if s.mem != nil {
		s.mem = append(append(s.mem, head...), data...)
	} else {
		want := len(head) + len(data)
		n, err := unix.Pwritev(int(s.file.Fd()), [][]byte{head, data}, s.size)
		if err == nil && n < want {
			err = unix.ENOSPC
		}
		if err != nil {
			s.sealed = true
			return fmt.Errorf("write output: %w", err)
		}
	}
	s.size += int64(len(head) + len(data))
	s.end += uint64(len(data))
	return nil
}

func (s *segment) read(p []byte, position int64) error {
	if s.mem != nil {
		copy(p, s.mem[position:])
		return nil
	}
	_, err := s.file.ReadAt(p, position)
	return err
}

func (s *segment) remove() {
	if s.file != nil {
		os.Remove(s.file.Name())
		s.file.Close()
	}
	s.mem = nil
}

// cursor is a place in a log.
type cursor struct {
	offset   uint64
	segment  *segment
	position int64 // in the segment, of the record that holds offset or an earlier one
}

// Reader reads a log from an offset on. It is for one goroutine.
type Reader struct {
	log    *Log
	at     cursor
	buf    []byte
	parsed []byte // the part of buf not given out yet
}

// NewReader reads from offset on. The offset is checked by the first Next.
func (l *Log) NewReader(offset uint64) *Reader {
	return &Reader{log: l, at: cursor{offset: offset}, buf: make([]byte, 4*(MaxRecord+headerSize))}
}

// Next gives the next record, trimmed to begin at the reader's offset; false if
// there is none yet. It fails with ErrRange where output is not kept any more.
func (r *Reader) Next() (Record, bool, error) {
	for {
		record, size := parseRecord(r.parsed)
		if size == 0 {
			n, err := r.log.readFrom(&r.at, r.buf)
			r.parsed = r.buf[:n]
			if err != nil || n == 0 {
				return Record{}, false, err
			}
			if _, whole := parseRecord(r.parsed); whole == 0 {
				return Record{}, false, fmt.Errorf("read output at %d: the spool is damaged", r.at.offset)
			}
			continue
		}
		r.parsed = r.parsed[size:]
		r.at.position += int64(size)
		end := record.Offset + uint64(len(record.Data))
		if end <= r.at.offset {
			continue
		}
		record.Data = record.Data[r.at.offset-min(record.Offset, r.at.offset):]
		record.Offset = r.at.offset
		r.at.offset = end
		return record, true, nil
	}
}
