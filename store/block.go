package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"cronium.dev/cronium"
)

// A block is a row of output: records one after another, each
//
//	uvarint  microseconds since the execution's start
//	byte     stream: 1 stdout, 2 stderr
//	uvarint  length
//	bytes    data
//
// plain (encoding 0) as it arrives, or compressed with zstd (encoding 1) after
// the execution has ended. Its first byte's offset and line are columns.
const (
	encodingPlain = 0
	encodingZstd  = 1

	// blockSize is about how many bytes of output a block holds.
	blockSize = 256 << 10
)

// block is a row of output.
type block struct {
	FirstLine int64
	Start     int64
	Size      int
	Lines     int64 // line feeds in it
	Encoding  int16
	Data      []byte
}

// ErrDamaged says that what is stored cannot be read, now or later.
var ErrDamaged = errors.New("it is damaged")

// appendRecord adds one record to the block's data.
func (b *block) appendRecord(at time.Duration, stream cronium.Stream, data []byte) {
	b.Data = binary.AppendUvarint(b.Data, uint64(max(at.Microseconds(), 0)))
	b.Data = append(b.Data, byte(stream))
	b.Data = binary.AppendUvarint(b.Data, uint64(len(data)))
	b.Data = append(b.Data, data...)
	b.Size += len(data)
	b.Lines += int64(bytes.Count(data, []byte{'\n'}))
}

// chunks decodes the block. The chunks' data points into the decoded bytes.
func (b *block) chunks() ([]cronium.Chunk, error) {
	data := b.Data
	if b.Encoding == encodingZstd {
		decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(16<<20))
		if err != nil {
			return nil, fmt.Errorf("prepare decompression: %w", err)
		}
		defer decoder.Close()
		if data, err = decoder.DecodeAll(data, nil); err != nil {
			return nil, fmt.Errorf("decompress output at %d: %w: %w", b.Start, ErrDamaged, err)
		}
	}
	var chunks []cronium.Chunk
	offset, line := b.Start, b.FirstLine
	for len(data) > 0 {
		at, n := binary.Uvarint(data)
		if n <= 0 || n >= len(data) {
			return nil, fmt.Errorf("read the output block at %d: %w", b.Start, ErrDamaged)
		}
		stream := cronium.Stream(data[n])
		data = data[n+1:]
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return nil, fmt.Errorf("read the output block at %d: %w", b.Start, ErrDamaged)
		}
		record := data[n : n+int(size)]
		data = data[n+int(size):]
		chunks = append(chunks, cronium.Chunk{
			Offset: offset, FirstLine: line, Stream: stream, Data: record,
			At: time.Duration(at) * time.Microsecond,
		})
		offset += int64(size)
		line += int64(bytes.Count(record, []byte{'\n'}))
	}
	return chunks, nil
}

// blocksOf packs chunks that follow one another into blocks.
func blocksOf(chunks []cronium.Chunk, start, line int64) []block {
	var blocks []block
	current := block{FirstLine: line, Start: start}
	for _, c := range chunks {
		if current.Size > 0 && current.Size+len(c.Data) > blockSize {
			blocks = append(blocks, current)
			current = block{FirstLine: current.FirstLine + current.Lines, Start: current.Start + int64(current.Size)}
		}
		current.appendRecord(c.At, c.Stream, c.Data)
	}
	if current.Size > 0 {
		blocks = append(blocks, current)
	}
	return blocks
}

// Size is how many bytes of output chunks hold.
func Size(chunks []cronium.Chunk) (size int64) {
	for _, c := range chunks {
		size += int64(len(c.Data))
	}
	return size
}

// merge joins records of one stream that follow one another without a pause,
// so that a compacted block of many small ones is not mostly headers.
func merge(chunks []cronium.Chunk) []cronium.Chunk {
	var merged []cronium.Chunk
	for _, c := range chunks {
		if n := len(merged); n > 0 && merged[n-1].Stream == c.Stream && merged[n-1].At == c.At {
			last := &merged[n-1]
			last.Data = append(last.Data[:len(last.Data):len(last.Data)], c.Data...)
			continue
		}
		merged = append(merged, c)
	}
	return merged
}
