package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"cronium.dev/cronium"
)

func variableFigures() []figure {
	return []figure{
		{name: "helper_call_p50", unit: "ms", goal: 2, measure: helperCall},
		{name: "masking_rate", unit: "ratio", goal: 0.7, atLeast: true, measure: maskingRate},
	}
}

// asking reads a variable a thousand times and gives the median, in milliseconds.
const asking = `import cronium, time
times = []
for i in range(1000):
    begun = time.perf_counter()
    cronium.get_variable("ENDPOINT")
    times.append(time.perf_counter() - begun)
times.sort()
cronium.output(times[len(times) // 2] * 1000)
`

// variable makes a variable that all events may use.
func (s *site) variable(ctx context.Context, key, value string, secret bool) error {
	body := map[string]any{"key": key, "value": value, "secret": secret, "all_events": true}
	return s.Try(ctx, http.MethodPost, "/api/v1/variables", nil, body, nil)
}

// helperCall is how long a script in a container waits for a variable.
func helperCall(ctx context.Context, m *machine) (float64, error) {
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if err := s.variable(ctx, "ENDPOINT", "https://partner.example", false); err != nil {
		return 0, err
	}
	event, err := s.python(ctx, "asks", asking, nil)
	if err != nil {
		return 0, err
	}
	var medians []float64
	for range 3 {
		id, err := s.Run(ctx, event, cronium.NewID().String())
		if err != nil {
			return 0, err
		}
		if _, err := s.ended(ctx, id); err != nil {
			return 0, err
		}
		var job struct {
			Result cronium.Result
			Output json.Number
		}
		err = until(ctx, func() (bool, error) { // the job ends with its execution, or a moment later
			return job.Result != "", s.Try(ctx, http.MethodGet, "/api/v1/jobs/"+id.String(), nil, nil, &job)
		})
		if err != nil {
			return 0, err
		}
		median, err := job.Output.Float64()
		if err != nil {
			return 0, fmt.Errorf("the script ended with %s and gave %q", job.Result, job.Output)
		}
		medians = append(medians, median)
	}
	return median(medians), nil
}

// maskingRate compares how fast output is stored with 100 secrets to be masked in
// it and with none. No secret is in it.
func maskingRate(ctx context.Context, m *machine) (float64, error) {
	s, err := m.site(ctx)
	if err != nil {
		return 0, err
	}
	defer s.close()
	event, err := s.python(ctx, "flood", flood, func(c *cronium.Content) { c.Limits.OutputMiB = 256 })
	if err != nil {
		return 0, err
	}
	var ids []string
	for i := range 100 {
		var made struct{ ID string }
		body := map[string]any{"key": fmt.Sprintf("SECRET_%d", i), "value": "xk" + cronium.NewID().String(), "secret": true, "events": []string{}}
		if err := s.Try(ctx, http.MethodPost, "/api/v1/variables", nil, body, &made); err != nil {
			return 0, err
		}
		ids = append(ids, made.ID)
	}
	var ratios []float64
	for range 3 {
		var took [2]float64
		for secrets := range took {
			for _, id := range ids {
				body := map[string]any{"all_events": secrets == 1, "events": []string{}}
				if err := s.Try(ctx, http.MethodPatch, "/api/v1/variables/"+id, nil, body, nil); err != nil {
					return 0, err
				}
			}
			if took[secrets], _, err = s.flood(ctx, event); err != nil {
				return 0, err
			}
		}
		fmt.Printf("  stored in %.2f s without secrets and in %.2f s with 100\n", took[0], took[1])
		ratios = append(ratios, took[0]/took[1])
	}
	return median(ratios), nil
}
