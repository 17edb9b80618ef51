package store

import (
	"testing"

	"cronium.dev/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func testDatabase(t *testing.T) string {
	t.Helper()
	return testenv.Database(t, Migrate)
}
