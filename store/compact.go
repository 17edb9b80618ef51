package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"cronium.dev/cronium"
)

// compactOne rewrites one execution's output, block by block, so that memory
// stays bounded, in one transaction.
func (s *Store) compactOne(ctx context.Context, workspace, execution cronium.ID) error {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return fmt.Errorf("prepare compression: %w", err)
	}
	defer encoder.Close()
	return s.system(ctx, func(tx pgx.Tx) error {
		var done bool
		err := tx.QueryRow(ctx, `SELECT compacted FROM executions WHERE id = $1 FOR UPDATE`, execution).Scan(&done)
		if err != nil || done {
			return err
		}
		count, err := rewrite(ctx, tx, encoder, workspace, execution)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE executions SET compacted = true, output_blocks = $2 WHERE id = $1`, execution, count)
		return err
	})
}

// rewrite reads plain blocks in order and replaces each run of them of about
// blockSize by a compressed one.
func rewrite(ctx context.Context, tx pgx.Tx, encoder *zstd.Encoder, workspace, execution cronium.ID) (int, error) {
	count := 0
	line, start := int64(-1), int64(-1)
	for {
		run, err := nextRun(ctx, tx, execution, line, start)
		if err != nil || len(run) == 0 {
			return count, err
		}
		if err := replace(ctx, tx, encoder, workspace, execution, run); err != nil {
			return count, err
		}
		count++
		last := run[len(run)-1]
		line, start = last.FirstLine, last.Start
	}
}

// nextRun reads the plain blocks after a position, up to blockSize of them.
func nextRun(ctx context.Context, tx pgx.Tx, execution cronium.ID, line, start int64) ([]block, error) {
	rows, err := tx.Query(ctx, `
		SELECT first_line, start, size, encoding, data FROM output
		WHERE execution_id = $1 AND (first_line, start) > ($2, $3) ORDER BY first_line, start LIMIT 500`, execution, line, start)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var run []block
	size := 0
	for rows.Next() {
		var b block
		if err := rows.Scan(&b.FirstLine, &b.Start, &b.Size, &b.Encoding, &b.Data); err != nil {
			return nil, err
		}
		if size > 0 && size+b.Size > blockSize {
			break
		}
		run = append(run, b)
		size += b.Size
	}
	rows.Close()
	return run, rows.Err()
}

func replace(ctx context.Context, tx pgx.Tx, encoder *zstd.Encoder, workspace, execution cronium.ID, run []block) error {
	joined := block{FirstLine: run[0].FirstLine, Start: run[0].Start}
	for _, b := range run {
		chunks, err := b.chunks()
		if err != nil {
			return err
		}
		for _, c := range merge(chunks) {
			joined.appendRecord(c.At, c.Stream, c.Data)
		}
	}
	batch := &pgx.Batch{}
	last := run[len(run)-1]
	batch.Queue(`DELETE FROM output WHERE execution_id = $1 AND (first_line, start) >= ($2, $3) AND (first_line, start) <= ($4, $5)`,
		execution, joined.FirstLine, joined.Start, last.FirstLine, last.Start)
	batch.Queue(`INSERT INTO output (execution_id, workspace_id, first_line, start, size, encoding, data) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		execution, workspace, joined.FirstLine, joined.Start, joined.Size, encodingZstd, encoder.EncodeAll(joined.Data, nil))
	return tx.SendBatch(ctx, batch).Close()
}
