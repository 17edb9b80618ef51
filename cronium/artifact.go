package cronium

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Artifact is a file that a script has kept with its run.
type Artifact struct {
	ID          ID
	WorkspaceID ID
	JobID       ID
	ExecutionID ID
	Name        string // unique in its execution
	Size        int64  // bytes
	SHA256      []byte
	Object      string // its name in the object storage; "" = it is in the database
	CreatedAt   time.Time
}

// MaxArtifacts is how many files one execution may keep.
const MaxArtifacts = 200

// DefaultArtifactMiB is the limit of an event that says none.
const DefaultArtifactMiB = 64

// ArtifactBytes is how many bytes the files that one execution keeps may have
// together.
func (l Limits) ArtifactBytes() int64 {
	if l.ArtifactMiB == 0 {
		return DefaultArtifactMiB << 20
	}
	return int64(l.ArtifactMiB) << 20
}

// ValidArtifactName tells whether a file may have the name: 1 to 200 bytes of
// UTF-8 without slashes, control characters and marks that turn the direction of
// writing, which make a name look like another.
func ValidArtifactName(name string) bool {
	return name != "" && len(name) <= 200 && name != "." && name != ".." && utf8.ValidString(name) &&
		printable(name) && !strings.ContainsAny(name, "/\\\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
}
