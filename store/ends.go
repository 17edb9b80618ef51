package store

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// endExecutions makes executions final, stores the output that came with their
// ends and, if jobs says so, makes their jobs final, all in one statement. It
// returns the ids of the executions that were open and the owner's.
func endExecutions(ctx context.Context, db querier, batch []Finish, jobs bool) ([]cronium.ID, error) {
	var e ends
	for _, f := range batch {
		e.add(f)
	}
	sql, args := endSQL, e.args()
	if jobs {
		sql += endJobsSQL
		args = append(args, activeJob)
	}
	rows, err := db.Query(ctx, sql+` SELECT id FROM ended`, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
}

// querier is a transaction, or a pool for a statement alone.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

const endSQL = `
	WITH asked AS (
		SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::int[], $7::bool[],
			$8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
			$14::bigint[], $15::bigint[], $16::bigint[], $17::int[], $18::text[], $19::text[], $20::text[], $21::bool[], $22::float8[])
			AS a (id, owner, status, error, exit_code, signal, oom, setup_us, run_us, cleanup_us, cpu_us, peak, dropped,
				start, size, lines, blocks, result, job_status, output, condition, took)),
	ended AS (
		UPDATE executions e SET status = a.status, error = a.error, progress = '', exit_code = a.exit_code, signal = a.signal, out_of_memory = a.oom,
			setup_us = greatest(e.setup_us, a.setup_us), run_us = a.run_us, cleanup_us = a.cleanup_us, cpu_us = a.cpu_us,
			peak_memory = a.peak, output_dropped = a.dropped, finished_at = now(),
			started_at = coalesce(e.started_at, CASE WHEN a.run_us > 0 OR a.size > 0 THEN now() - make_interval(secs => (a.run_us + a.cleanup_us) / 1e6) END),
			output_bytes = e.output_bytes + a.size, output_lines = e.output_lines + a.lines, output_blocks = e.output_blocks + a.blocks
		FROM asked a
		WHERE e.id = a.id AND e.owner = a.owner AND e.status = ANY($23) AND (a.size = 0 OR e.output_bytes = a.start)
		RETURNING e.id, e.workspace_id, e.job_id, a.error, a.result, a.job_status, a.output, a.condition, a.took),
	stored AS (
		INSERT INTO output (execution_id, workspace_id, first_line, start, size, encoding, data)
		SELECT ended.id, ended.workspace_id, b.first_line, b.start, b.size, 0, b.data
		FROM unnest($24::uuid[], $25::bigint[], $26::bigint[], $27::int[], $28::bytea[]) AS b (execution_id, first_line, start, size, data)
		JOIN ended ON ended.id = b.execution_id)`

const endJobsSQL = `,
	moved AS (
		UPDATE jobs j SET status = ended.job_status, result = ended.result, error = ended.error, output = ended.output::json,
			condition = ended.condition, finished_at = now(), next_attempt = NULL,
			started_at = coalesce(j.started_at, now() - make_interval(secs => ended.took))
		FROM ended WHERE j.id = ended.job_id AND j.status = ANY($29))`

// ends are the columns of endSQL and endJobsSQL.
type ends struct {
	ids, owners                             []cronium.ID
	statuses, errors                        []string
	codes                                   []*int
	signals                                 []int
	oom                                     []bool
	setup, run, cleanup, cpu, peak, dropped []int64
	starts, sizes, lines                    []int64
	counts                                  []int
	of                                      []cronium.ID
	firstLines, blockStarts                 []int64
	blockSizes                              []int
	data                                    [][]byte
	results, jobStatuses                    []string
	outputs                                 []*string
	conditions                              []*bool
	took                                    []*float64
}

func (e *ends) add(f Finish) {
	reason, result := clean(f.Error), f.result()
	e.ids, e.owners = append(e.ids, f.ExecutionID), append(e.owners, f.Owner)
	e.statuses, e.errors = append(e.statuses, string(f.Status)), append(e.errors, reason)
	e.codes, e.signals, e.oom = append(e.codes, f.ExitCode), append(e.signals, f.Signal), append(e.oom, f.OutOfMemory)
	e.setup, e.run, e.cleanup = append(e.setup, f.Setup.Microseconds()), append(e.run, f.Run.Microseconds()), append(e.cleanup, f.Cleanup.Microseconds())
	e.cpu, e.peak, e.dropped = append(e.cpu, f.CPU.Microseconds()), append(e.peak, f.PeakMemory), append(e.dropped, f.Dropped)
	e.results, e.jobStatuses = append(e.results, string(result)), append(e.jobStatuses, string(result.JobStatus()))
	e.outputs, e.conditions, e.took = append(e.outputs, jsonText(f.Output)), append(e.conditions, f.Condition), append(e.took, secondsRun(f))
	blocks := blocksOf(f.Last, f.Stored.Bytes, f.Stored.Lines)
	var size, lines int64
	for _, b := range blocks {
		size += int64(b.Size)
		lines += b.Lines
		e.of, e.firstLines, e.blockStarts = append(e.of, f.ExecutionID), append(e.firstLines, b.FirstLine), append(e.blockStarts, b.Start)
		e.blockSizes, e.data = append(e.blockSizes, b.Size), append(e.data, b.Data)
	}
	e.starts, e.sizes = append(e.starts, f.Stored.Bytes), append(e.sizes, size)
	e.lines, e.counts = append(e.lines, lines), append(e.counts, len(blocks))
}

func (e *ends) args() []any {
	return []any{e.ids, e.owners, e.statuses, e.errors, e.codes, e.signals, e.oom, e.setup, e.run, e.cleanup, e.cpu, e.peak, e.dropped,
		e.starts, e.sizes, e.lines, e.counts, e.results, e.jobStatuses, e.outputs, e.conditions, e.took, openExecution, e.of, e.firstLines, e.blockStarts, e.blockSizes, e.data}
}

// secondsRun is nil for an execution that did not run.
func secondsRun(f Finish) *float64 {
	if f.Run == 0 && len(f.Last) == 0 {
		return nil
	}
	seconds := (f.Run + f.Cleanup).Seconds()
	return &seconds
}

// jsonText is nil for no value.
func jsonText(raw json.RawMessage) *string {
	if len(raw) == 0 {
		return nil
	}
	s := string(raw)
	return &s
}
