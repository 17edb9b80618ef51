package faults

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/internal/instance"
)

// TestEachInstantFiresOnce has schedules fire every five seconds from two
// processes, of which one is killed every few seconds: each instant of each
// schedule makes one job, no more and no less. CRONIUM_FAULT_SCHEDULES sets their
// number; from 10,000 on it takes a minute.
func TestEachInstantFiresOnce(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	schedules := setting(t, "CRONIUM_FAULT_SCHEDULES", 500)
	length, between := 6*time.Second, 2*time.Second
	if schedules >= 10_000 {
		length, between = time.Minute, 5*time.Second
	}
	dir := newDir(t)
	binaries, err := instance.Build(t.Context(), filepath.Join(dir, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	// Without an engine no job runs: all that happens is firing.
	site := &instance.Site{Binaries: binaries, Data: filepath.Join(dir, "site"), Logs: filepath.Join(dir, "logs"),
		Engine: "unix://" + filepath.Join(dir, "nobody.sock"), Flags: []string{"--pool", "0", "--max-runs", "1"}}
	servers := newFleet(t, site)
	token, err := site.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := instance.NewClient(token, servers.address)
	t.Cleanup(client.Close)
	event, err := client.CreateEvent(t.Context(), "tick", cronium.EventBash, cronium.NewContent(cronium.EventBash))
	if err != nil {
		t.Fatal(err)
	}
	db := database{site}
	if err := db.addTicking(t.Context(), event, schedules, length); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: two servers run", since(begun))
	kills := 0
	for end := time.Now().Add(length); time.Now().Before(end); kills++ {
		pause(t.Context(), between)
		if err := servers.both()[kills%2].Kill(); err != nil {
			t.Fatal(err)
		}
		if err := servers.start(t.Context(), kills%2); err != nil {
			t.Fatal(err)
		}
	}
	err = await(t.Context(), time.Minute, "the last instant to be fired", func() error {
		n, err := db.number(t.Context(), `SELECT count(*) FROM schedules WHERE next_at IS NOT NULL`)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d schedules have not come to their end", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("%s: the last instant of %d schedules is over, after %d kills", since(begun), schedules, kills)
	db.checkInstants(t, schedules)
	t.Logf("%s: checked", since(begun))
}

// addTicking adds schedules that fire every five seconds, in five groups a second
// apart, from soon on for some time.
func (d database) addTicking(ctx context.Context, event cronium.ID, count int, length time.Duration) error {
	return d.do(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `
			INSERT INTO schedules (id, workspace_id, event_id, kind, expression, zone, missed, overlap, next_at, due_at, starts_at, ends_at)
			SELECT gen_random_uuid(), e.workspace_id, e.id, 'CRON', n % 5 || '/5 * * * * *', 'UTC', 'SKIP', 'ALLOW', first, first, first, first + $3::interval
			FROM events e, generate_series(1, $2::int) n,
				LATERAL (SELECT to_timestamp(ceil(extract(epoch FROM now()) / 5) * 5 + n % 5) AS first) f
			WHERE e.id = $1`, event, count, length)
		return err
	})
}

// checkInstants compares the instants that there should be with the jobs that
// there are.
func (d database) checkInstants(t *testing.T, schedules int) {
	t.Helper()
	for what, sql := range map[string]string{
		"instants without a job": `
			SELECT count(*) FROM (SELECT s.id, at FROM schedules s, generate_series(s.starts_at, s.ends_at, interval '5 seconds') at) due
			LEFT JOIN jobs j ON j.source_id = due.id AND j.fire_at = due.at WHERE j.id IS NULL`,
		"jobs too many":            `SELECT count(*) - count(DISTINCT (source_id, fire_at)) FROM jobs WHERE trigger = 'SCHEDULE'`,
		"jobs of no instant":       `SELECT count(*) FROM jobs j JOIN schedules s ON s.id = j.source_id WHERE extract(epoch FROM j.fire_at - s.starts_at)::bigint % 5 <> 0 OR j.fire_at > s.ends_at`,
		"jobs without an entry":    `SELECT count(*) FROM jobs j WHERE NOT EXISTS (SELECT FROM river_job r WHERE r.args->>'job_id' = j.id::text)`,
		"instants not recorded":    `SELECT count(*) FROM jobs j WHERE NOT EXISTS (SELECT FROM schedule_instants i WHERE i.schedule_id = j.source_id AND i.instant = j.fire_at AND i.job_id = j.id)`,
		"schedules that never ran": fmt.Sprintf(`SELECT %d - count(DISTINCT source_id) FROM jobs`, schedules),
	} {
		if n, err := d.number(t.Context(), sql); err != nil || n != 0 {
			t.Errorf("%d %s, %v", n, what, err)
		}
	}
}
