package conformance

import "testing"

// Run runs the suite. The target's engine or machine has Python, Node.js and
// Bash.
func Run(t *testing.T, target Target) {
	t.Run("output", target.testOutput)
	t.Run("ends", target.testEnds)
	t.Run("stops", target.testStops)
	t.Run("cuts", target.testCuts)
	t.Run("takeover", target.testTakeover)
	t.Run("helper API", target.testHelpers)
}

// each runs cases in parallel.
func each(t *testing.T, cases map[string]func(*testing.T)) {
	t.Parallel()
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t)
		})
	}
}
