package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Appended is how much of an execution's output is stored.
type Appended struct {
	Bytes int64
	Lines int64 // line feeds
}

type appendRequest struct {
	execution, owner cronium.ID
	start            int64
	blocks           []block
	started          *Started // nil: the start is stored already
}

// AppendOutput stores chunks that follow one another, the first at the offset
// that stored ends with, and returns where it ends then. It fails with
// ErrNotOwner. After any other error it may be called again with the same
// chunks: what had been stored in spite of the error is not stored twice.
func (s *Store) AppendOutput(ctx context.Context, execution, owner cronium.ID, stored Appended, chunks []cronium.Chunk) (Appended, error) {
	return s.appendOutput(ctx, execution, owner, stored, chunks, nil)
}

// StartWithOutput is Start and AppendOutput in one statement: for a script whose
// first output is there before its start was stored.
func (s *Store) StartWithOutput(ctx context.Context, started Started, stored Appended, chunks []cronium.Chunk) (Appended, error) {
	return s.appendOutput(ctx, started.ExecutionID, started.Owner, stored, chunks, &started)
}

func (s *Store) appendOutput(ctx context.Context, execution, owner cronium.ID, stored Appended, chunks []cronium.Chunk, started *Started) (Appended, error) {
	blocks := blocksOf(chunks, stored.Bytes, stored.Lines)
	after := stored
	for _, b := range blocks {
		after.Bytes += int64(b.Size)
		after.Lines += b.Lines
	}
	if len(blocks) == 0 {
		return stored, nil
	}
	ok, err := s.appends.do(ctx, appendRequest{execution, owner, stored.Bytes, blocks, started})
	if err != nil {
		return stored, err
	}
	if !ok {
		// Either another process owns it, or an earlier call that seemed to
		// have failed was stored.
		return s.afterUnknown(ctx, execution, owner, stored, after)
	}
	return after, nil
}

func (s *Store) afterUnknown(ctx context.Context, execution, owner cronium.ID, before, after Appended) (Appended, error) {
	var bytes int64
	err := s.worker.QueryRow(ctx, `SELECT output_bytes FROM executions WHERE id = $1 AND owner = $2 AND status IN ('PENDING', 'RUNNING')`, execution, owner).Scan(&bytes)
	if err == pgx.ErrNoRows || err == nil && bytes != after.Bytes {
		return before, ErrNotOwner
	}
	return after, mapError(err, "look at stored output")
}

func (s *Store) appendBatch(ctx context.Context, batch []appendRequest) ([]bool, error) {
	n := len(batch)
	executions, owners := make([]cronium.ID, n), make([]cronium.ID, n)
	starts, sizes, lines, counts := make([]int64, n), make([]int64, n), make([]int64, n), make([]int, n)
	jobs, setups := make([]*cronium.ID, n), make([]int64, n) // of those whose start is told here
	var of []cronium.ID
	var firstLines, blockStarts []int64
	var blockSizes []int
	var data [][]byte
	for i, a := range batch {
		executions[i], owners[i], starts[i], counts[i] = a.execution, a.owner, a.start, len(a.blocks)
		if a.started != nil {
			jobs[i], setups[i] = &a.started.JobID, a.started.Setup.Microseconds()
		}
		for _, b := range a.blocks {
			sizes[i] += int64(b.Size)
			lines[i] += b.Lines
			of, firstLines, blockStarts = append(of, a.execution), append(firstLines, b.FirstLine), append(blockStarts, b.Start)
			blockSizes, data = append(blockSizes, b.Size), append(data, b.Data)
		}
	}
	rows, err := s.worker.Query(ctx, `
		WITH asked AS (
			SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[], $13::uuid[], $14::bigint[])
				AS a (id, owner, start, size, lines, blocks, started, setup_us)),
		moved AS (
			UPDATE executions e SET output_bytes = e.output_bytes + asked.size, output_lines = e.output_lines + asked.lines,
				output_blocks = e.output_blocks + asked.blocks, status = 'RUNNING', progress = '',
				started_at = coalesce(e.started_at, now()), setup_us = greatest(e.setup_us, asked.setup_us)
			FROM asked WHERE e.id = asked.id AND e.owner = asked.owner AND e.output_bytes = asked.start
				AND e.status = ANY($12)
			RETURNING e.id, e.workspace_id, asked.started),
		running AS (
			UPDATE jobs j SET status = 'RUNNING', started_at = coalesce(j.started_at, now())
			FROM (SELECT DISTINCT started FROM moved ORDER BY started) s WHERE j.id = s.started AND j.status = ANY($15)),
		stored AS (
			INSERT INTO output (execution_id, workspace_id, first_line, start, size, encoding, data)
			SELECT moved.id, moved.workspace_id, b.first_line, b.start, b.size, 0, b.data
			FROM unnest($7::uuid[], $8::bigint[], $9::bigint[], $10::int[], $11::bytea[]) AS b (execution_id, first_line, start, size, data)
			JOIN moved ON moved.id = b.execution_id)
		SELECT id FROM moved`,
		executions, owners, starts, sizes, lines, counts, of, firstLines, blockStarts, blockSizes, data, openExecution, jobs, setups, claimedJob)
	if err != nil {
		return nil, mapError(err, "store output")
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
	return found(executions, ids), mapError(err, "store output")
}

// Output reads chunks from the block in which the line fromLine (from 0)
// begins, until about maxBytes are read: at least one block if there is one. The
// first chunks may lie before the line, and all of them where the line begins
// with the next block or not at all. A follower goes on with OutputAfter.
func (s *Store) Output(ctx context.Context, workspace, execution cronium.ID, fromLine int64, maxBytes int) ([]cronium.Chunk, error) {
	// A block's first_line is the line of its first byte, which may have begun
	// earlier: the line begins in the last block whose first line is before it.
	return s.readOutput(ctx, workspace, maxBytes, `
		SELECT first_line, start, size, encoding, data FROM output
		WHERE workspace_id = $1 AND execution_id = $2 AND (first_line, start) >= (
			SELECT coalesce(max(first_line), 0), coalesce(max(start), 0) FROM (
				SELECT first_line, start FROM output WHERE workspace_id = $1 AND execution_id = $2 AND first_line < $3
				ORDER BY first_line DESC, start DESC LIMIT 1) f)
		ORDER BY first_line, start LIMIT $4`, workspace, execution, fromLine)
}

// OutputAfter reads chunks after an offset. line is any line number that is at
// most the one at the offset; the closer it is, the less is read.
func (s *Store) OutputAfter(ctx context.Context, workspace, execution cronium.ID, line, offset int64, maxBytes int) ([]cronium.Chunk, error) {
	chunks, err := s.readOutput(ctx, workspace, maxBytes, `
		SELECT first_line, start, size, encoding, data FROM output
		WHERE workspace_id = $1 AND execution_id = $2 AND (first_line, start) >= (
			SELECT coalesce(max(first_line), 0), coalesce(max(start), 0) FROM (
				SELECT first_line, start FROM output WHERE workspace_id = $1 AND execution_id = $2 AND first_line <= $3 AND start <= $4
				ORDER BY first_line DESC, start DESC LIMIT 1) f)
		  AND start + size > $4
		ORDER BY first_line, start LIMIT $5`, workspace, execution, line, offset)
	return trimBefore(chunks, offset), err
}

// trimBefore drops what lies before an offset.
func trimBefore(chunks []cronium.Chunk, offset int64) []cronium.Chunk {
	for len(chunks) > 0 {
		c := &chunks[0]
		end := c.Offset + int64(len(c.Data))
		if end <= offset {
			chunks = chunks[1:]
			continue
		}
		if c.Offset < offset {
			for _, b := range c.Data[:offset-c.Offset] {
				if b == '\n' {
					c.FirstLine++
				}
			}
			c.Data, c.Offset = c.Data[offset-c.Offset:], offset
		}
		break
	}
	return chunks
}

// indexAlone begins a transaction that reads a page in the order of an index.
// What the planner knows of the newest partition is always old, and with it
// sorting all blocks of an execution, or all jobs of an event, looks cheap.
const indexAlone = "BEGIN READ ONLY; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off"

// readOutput decodes the blocks that sql finds, until maxBytes are read. The
// query's last parameter limits the blocks, because they are small while a
// script trickles; where they are large, those over maxBytes are not even sent.
func (s *Store) readOutput(ctx context.Context, workspace cronium.ID, maxBytes int, sql string, args ...any) ([]cronium.Chunk, error) {
	const maxBlocks = 2000
	args = append(args, min(maxBlocks, maxBytes/1024+8), maxBytes)
	sql = fmt.Sprintf(`SELECT first_line, start, size, encoding, data FROM (
		SELECT b.*, sum(size) OVER (ORDER BY first_line, start ROWS UNBOUNDED PRECEDING) - size AS before FROM (%s) b) w
		WHERE before < $%d ORDER BY first_line, start`, sql, len(args))
	var chunks []cronium.Chunk
	err := s.inWorkspace(ctx, workspace, indexAlone, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		var b block
		_, err = pgx.ForEachRow(rows, []any{&b.FirstLine, &b.Start, &b.Size, &b.Encoding, &b.Data}, func() error {
			decoded, err := b.chunks()
			chunks = append(chunks, decoded...)
			b.Data = nil // the chunks point into it
			return err
		})
		return err
	})
	return chunks, mapError(err, "read output")
}

// CompactOutput rewrites the output of up to limit executions that have ended
// into compressed blocks, and returns how many it looked at. A reader sees the
// old blocks or the new ones, never both. What hinders one does not hinder the
// others: damaged output is left as it is and not looked at again, and the error
// names it.
func (s *Store) CompactOutput(ctx context.Context, limit int) (int, error) {
	rows, err := s.worker.Query(ctx, `
		SELECT id, workspace_id FROM executions
		WHERE NOT compacted AND output_blocks > 1 AND status NOT IN ('PENDING', 'RUNNING') AND id < $1
		ORDER BY id LIMIT $2`, cronium.IDFloor(time.Now().Add(-time.Second)), limit)
	if err != nil {
		return 0, mapError(err, "look for output to compact")
	}
	type found struct{ ID, Workspace cronium.ID }
	todo, err := pgx.CollectRows(rows, pgx.RowToStructByPos[found])
	if err != nil {
		return 0, mapError(err, "look for output to compact")
	}
	var failed error
	for _, t := range todo {
		err := s.compactOne(ctx, t.Workspace, t.ID)
		if errors.Is(err, ErrDamaged) {
			_, markErr := s.worker.Exec(ctx, `UPDATE executions SET compacted = true WHERE id = $1`, t.ID)
			err = errors.Join(err, markErr)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("compact the output of execution %s: %w", t.ID, err))
		}
	}
	return len(todo), failed
}
