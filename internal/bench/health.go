package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

func healthFigures() []figure {
	return []figure{{name: "health_1000", unit: "s/min CPU", goal: 3, measure: healthThousand}}
}

// sampleEvery is how often agents tell how their machine is.
const sampleEvery = 15 * time.Second

// healthThousand is the processor time that a server process spends in a minute
// on the health of a thousand servers whose agents tell it every 15 seconds, and
// on nothing else. What it writes is printed.
func healthThousand(ctx context.Context, m *machine) (float64, error) {
	const minutes = 2
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	begin, err := s.crowd(ctx, m, sampleEvery)
	if err != nil {
		return 0, err
	}
	db, err := s.database(ctx)
	if err != nil {
		return 0, err
	}
	defer db.Close(ctx)
	if err := sleep(ctx, idleFor); err != nil {
		return 0, err
	}
	idle, err := processorTime(ctx, s.server.PID, time.Minute)
	if err != nil {
		return 0, err
	}
	defer begin()()
	if err := s.online(ctx, crowdSize); err != nil {
		return 0, err
	}
	if err := sleep(ctx, 2*idleFor); err != nil { // the first minute of a history is like any other
		return 0, err
	}
	before, err := written(ctx, db)
	if err != nil {
		return 0, err
	}
	busy, err := processorTime(ctx, s.server.PID, minutes*time.Minute)
	if err != nil {
		return 0, err
	}
	after, err := written(ctx, db)
	if err != nil {
		return 0, err
	}
	memory, err := resident(s.server.PID)
	for table, rows := range after {
		fmt.Printf("  %s: %d rows a minute\n", table, (rows-before[table])/minutes)
	}
	fmt.Printf("  %.2f s a minute without servers; %.0f MiB with them\n", idle.Seconds(), memory)
	return (busy / minutes).Seconds(), err
}

// written is how many rows of the tables of health have been written so far.
func written(ctx context.Context, db *pgx.Conn) (map[string]int64, error) {
	if err := sleep(ctx, 2*time.Second); err != nil { // PostgreSQL counts within a second
		return nil, err
	}
	rows, err := db.Query(ctx, `SELECT relname, n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname IN ('server_states', 'server_samples', 'servers')`)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	var table string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&table, &n}, func() error {
		counts[table] = n
		return nil
	})
	return counts, err
}

// processorTime is what a process uses of the processors in so long.
func processorTime(ctx context.Context, pid int, long time.Duration) (time.Duration, error) {
	before, err := processorTimeUsed(pid)
	if err != nil {
		return 0, err
	}
	if err := sleep(ctx, long); err != nil {
		return 0, err
	}
	after, err := processorTimeUsed(pid)
	return after - before, err
}

// processorTimeUsed reads /proc/PID/stat, which counts in hundredths of a second.
func processorTimeUsed(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("the kernel says nothing about its processor time")
	}
	var ticks int64
	for _, field := range fields[11:13] { // in user and in system mode
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
