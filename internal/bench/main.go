// Command bench measures Cronium on real PostgreSQL and a real container engine
// and prints a line a figure: name, value, unit, goal. The same goes to
// build/bench.tsv. Arguments choose figures by name.
//
// Where a figure is a ratio, both sides run in the same benchmark, in turn,
// several times, and the median counts. Nothing here fails for being slow: a
// figure that misses its goal is marked and that is all. One that cannot be
// measured does not keep the others from being measured.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// figure is one thing to measure.
type figure struct {
	name    string
	unit    string
	goal    float64
	atLeast bool // the goal is a least value; otherwise a most
	measure func(ctx context.Context, m *machine) (float64, error)
}

func (f figure) met(value float64) bool {
	if f.atLeast {
		return value >= f.goal
	}
	return value <= f.goal
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	chosen := figures()
	if len(names) > 0 {
		chosen = slices.DeleteFunc(chosen, func(f figure) bool { return !slices.Contains(names, f.name) })
		if len(chosen) != len(names) {
			return fmt.Errorf("there are figures named %s", strings.Join(allNames(), ", "))
		}
	}
	m, err := newMachine()
	if err != nil {
		return err
	}
	defer m.close()
	var table strings.Builder
	var failed error
	for _, f := range chosen {
		fmt.Fprintf(os.Stderr, "measuring %s …\n", f.name)
		value, err := f.measure(ctx, m)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", f.name, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		sign, verdict := "≤", ""
		if f.atLeast {
			sign = "≥"
		}
		if !f.met(value) {
			verdict = "  (missed)"
		}
		fmt.Printf("%-20s %10.3f %-10s goal %s %g%s\n", f.name, value, f.unit, sign, f.goal, verdict)
		fmt.Fprintf(&table, "%s\t%.4f\t%s\t%s %g\n", f.name, value, f.unit, sign, f.goal)
	}
	if err := os.MkdirAll("build", 0o755); err != nil {
		return err
	}
	return errors.Join(failed, os.WriteFile("build/bench.tsv", []byte(table.String()), 0o644))
}

func allNames() []string {
	var names []string
	for _, f := range figures() {
		names = append(names, f.name)
	}
	return names
}

func figures() []figure {
	return slices.Concat(startFigures(), sshFigures(), containerFigures(), queueFigures(), fairFigures(), scheduleFigures(), fleetFigures(), installedFigures(), healthFigures(), outputFigures(), variableFigures(), growthFigures(), memoryFigures(), pageFigures())
}
