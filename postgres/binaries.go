package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// oldest is the first version with everything that Cronium uses.
const oldest = 14

// binaries is one installed PostgreSQL.
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// folders where packages put PostgreSQL, beside those in PATH.
var binFolders = []string{
	"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
	"/usr/pgsql-*/bin",          // Red Hat, from postgresql.org
	"/usr/lib/postgresql*/bin",  // SUSE, Alpine
	"/usr/libexec/postgresql*",  // Alpine
	"/usr/local/pgsql/bin",
}

// findBinaries chooses the version that made the cluster in data, or for a new
// cluster the newest. With given, only that folder is looked at.
func findBinaries(ctx context.Context, given, data string) (binaries, error) {
	found := installed(ctx, candidates(given))
	made, err := madeBy(data)
	if err != nil {
		return binaries{}, named(err)
	}
	var best binaries
	for _, b := range found {
		if made == b.major {
			return b, nil
		}
		if b.major > best.major {
			best = b
		}
	}
	switch {
	case best.major == 0 && given != "":
		return binaries{}, fmt.Errorf("%w: %s has no initdb and postgres", ErrNoBinaries, given)
	case best.major == 0:
		return binaries{}, fmt.Errorf("%w: on Debian and Ubuntu run: sudo apt-get install postgresql; or set DATABASE_URL to a server that runs elsewhere", ErrNoBinaries)
	case made != 0:
		return binaries{}, fmt.Errorf("%w: %s holds data of PostgreSQL %d and this machine has %d; run: sudo apt-get install postgresql-%d; or move the data with pg_upgrade; or start with another data directory and restore a backup into it",
			ErrOtherVersion, data, made, best.major, made)
	case best.major < oldest:
		return binaries{}, fmt.Errorf("%w: PostgreSQL %d is too old, at least %d is needed; on Debian and Ubuntu run: sudo apt-get install postgresql", ErrNoBinaries, best.major, oldest)
	}
	return best, nil
}

func candidates(given string) []string {
	if given != "" {
		return []string{given}
	}
	var dirs []string
	for _, pattern := range binFolders {
		matches, _ := filepath.Glob(pattern) // the patterns are well-formed
		dirs = append(dirs, matches...)
	}
	return append(dirs, filepath.SplitList(os.Getenv("PATH"))...)
}

// installed returns those folders that have both programs and say a version.
func installed(ctx context.Context, dirs []string) []binaries {
	var found []binaries
	seen := map[string]bool{}
	for _, dir := range dirs {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || seen[real] || !filepath.IsAbs(real) {
			continue
		}
		seen[real] = true
		if _, err := exec.LookPath(filepath.Join(real, "initdb")); err != nil {
			continue
		}
		cmd := exec.CommandContext(ctx, filepath.Join(real, "postgres"), "--version")
		cmd.Env = environment()
		out, err := cmd.Output()
		if err != nil {
			continue
		}
		if major := versionOf(string(out)); major != 0 {
			found = append(found, binaries{real, major})
		}
	}
	return found
}

var versionText = regexp.MustCompile(`PostgreSQL\) (\d+)`)

// versionOf reads what `postgres --version` prints; 0 if it is something else.
func versionOf(text string) int {
	m := versionText.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	major, _ := strconv.Atoi(m[1]) // digits
	return major
}

// madeBy is the major version that made the cluster in data; 0 if none is there.
func madeBy(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the database: %w", err)
	}
	number, _, _ := strings.Cut(strings.TrimSpace(string(text)), ".")
	major, err := strconv.Atoi(number)
	if err != nil {
		return 0, fmt.Errorf("%w: %s/PG_VERSION says %q", ErrOtherVersion, data, text)
	}
	return major, nil
}

// environment is that of each program of PostgreSQL: nothing of Cronium's own,
// and messages in English, which errors are recognised by.
func environment() []string {
	return []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}
