package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

func growthFigures() []figure {
	return []figure{{name: "list_growth", unit: "ratio", goal: 1.5, measure: listGrowth}}
}

// Executions of the two databases, and how often each page is asked for.
const (
	fewExecutions  = 1_000
	manyExecutions = 1_000_000
	growthRounds   = 200
)

// listGrowth compares what pages and API take with a million executions and
// with a thousand. The page that grows most counts.
func listGrowth(ctx context.Context, m *machine) (float64, error) {
	var sites [2]*grown
	for i, n := range []int{fewExecutions, manyExecutions} {
		s, err := m.grow(ctx, n)
		if err != nil {
			return 0, err
		}
		defer s.close()
		sites[i] = s
	}
	worst := 0.0
	for i, page := range sites[0].pages {
		var times [2][]float64
		for range growthRounds {
			for j, s := range sites {
				took, err := s.get(ctx, s.pages[i].address)
				if err != nil {
					return 0, err
				}
				times[j] = append(times[j], took)
			}
		}
		few, many := quantile(times[0], 0.95), quantile(times[1], 0.95)
		fmt.Printf("  %-28s p95 %6.2f ms with 1,000, %6.2f ms with 1,000,000: %.2f\n", page.name, few, many, many/few)
		worst = max(worst, many/few)
	}
	return worst, nil
}

// grown is a site with many jobs, and the pages to ask for.
type grown struct {
	*site
	http  *http.Client
	pages []page
}

type page struct{ name, address string }

// grow starts a site with n executions.
func (m *machine) grow(ctx context.Context, n int) (*grown, error) {
	s, err := m.site(ctx, "--pool", "0")
	if err != nil {
		return nil, err
	}
	g := &grown{site: s}
	if err = g.fill(ctx, n); err == nil {
		g.http, err = s.browser(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return g, nil
}

func (g *grown) fill(ctx context.Context, n int) error {
	var event cronium.ID
	for i := range 50 {
		var err error
		if event, err = g.python(ctx, fmt.Sprintf("event %d", i), "print(1)\n", nil); err != nil {
			return err
		}
	}
	conn, err := g.database(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range fillStatements {
		if _, err := conn.Exec(ctx, strings.ReplaceAll(sql, "$COUNT", fmt.Sprint(n))); err != nil {
			return fmt.Errorf("fill the database: %w", err)
		}
	}
	return g.choose(ctx, conn, event)
}

// fillStatements make $COUNT jobs with an execution and output each, evenly
// spread over the last seven days and the events there are. One in twenty failed.
// Ids are of version 7: the milliseconds, the version, the variant, and what a
// number's digest gives.
var fillStatements = []string{
	`CREATE TEMPORARY TABLE made AS
		SELECT n, at, e.id AS event_id, e.workspace_id,
			(time || '-7' || substr(a, 1, 3) || '-8' || substr(a, 4, 3) || '-' || substr(a, 7, 12))::uuid AS job_id,
			(time || '-7' || substr(b, 1, 3) || '-8' || substr(b, 4, 3) || '-' || substr(b, 7, 12))::uuid AS execution_id
		FROM (
			SELECT n, at, md5('job' || n) AS a, md5('execution' || n) AS b,
				substr(hex, 1, 8) || '-' || substr(hex, 9, 4) AS time, n % (SELECT count(*) FROM events) AS turn
			FROM (SELECT n, at, lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS hex
				FROM (SELECT n, now() - interval '7 days' * (1 - n / ($COUNT + 1.0)) AS at FROM generate_series(1, $COUNT) n) t) h) i
		JOIN (SELECT row_number() OVER (ORDER BY id) - 1 AS turn, id, workspace_id FROM events) e USING (turn)`,
	`INSERT INTO jobs (id, workspace_id, event_id, version, priority, status, result, trigger, triggered_by, attempts, claimed_at, started_at, finished_at)
		SELECT job_id, workspace_id, event_id, 1, 'NORMAL', CASE WHEN n % 20 = 0 THEN 'FAILED' ELSE 'COMPLETED' END,
			CASE WHEN n % 20 = 0 THEN 'FAILURE' ELSE 'SUCCESS' END, 'API', 'bench', 1, at, at, at + interval '1 second' FROM made`,
	`INSERT INTO executions (id, workspace_id, job_id, attempt, target, target_ref, status, exit_code, started_at, finished_at, warm,
			setup_us, run_us, output_bytes, output_lines, output_blocks)
		SELECT execution_id, workspace_id, job_id, 1, 'container', 'gone', CASE WHEN n % 20 = 0 THEN 'FAILURE' ELSE 'SUCCESS' END,
			CASE WHEN n % 20 = 0 THEN 1 ELSE 0 END, at, at + interval '1 second', true, 5000, 1000000, 200, 10, 1 FROM made`,
	// A record (store/block.go): microseconds 0, stdout, length 200 as an
	// unsigned varint, and the bytes of ten lines.
	`INSERT INTO output (execution_id, workspace_id, first_line, start, size, encoding, data)
		SELECT execution_id, workspace_id, 0, 0, 200, 0, '\x0001c801'::bytea || convert_to(repeat(repeat('x', 19) || chr(10), 10), 'UTF8') FROM made`,
	`DROP TABLE made`,
	`VACUUM ANALYZE jobs`,
	`VACUUM ANALYZE executions`,
	`VACUUM ANALYZE output`,
	`CHECKPOINT`, // not while pages are measured
}

// choose picks what the pages show: the newest jobs, an event, a job of the
// middle.
func (g *grown) choose(ctx context.Context, conn *pgx.Conn, event cronium.ID) error {
	var job, execution cronium.ID
	err := conn.QueryRow(ctx, `SELECT job_id, id FROM executions WHERE id > $1 ORDER BY id LIMIT 1`,
		cronium.IDFloor(time.Now().AddDate(0, 0, -3))).Scan(&job, &execution)
	if err != nil {
		return fmt.Errorf("choose a job: %w", err)
	}
	g.pages = []page{
		{"home", "/"},
		{"jobs", "/jobs"},
		{"jobs, failed ones", "/jobs?status=FAILED"},
		{"run", "/jobs/" + job.String()},
		{"API: jobs", "/api/v1/jobs"},
		{"API: jobs of an event", "/api/v1/jobs?event_id=" + event.String()},
		{"API: executions of a job", "/api/v1/jobs/" + job.String() + "/executions"},
		{"API: lines of output", "/api/v1/executions/" + execution.String() + "/output?from_line=5&limit=5"},
	}
	return nil
}

// get gives the milliseconds until the last byte of an answer.
func (g *grown) get(ctx context.Context, address string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.server.Address+address, nil)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	response, err := g.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s was answered by %s", address, response.Status)
	}
	return milliseconds(time.Since(start)), nil
}
