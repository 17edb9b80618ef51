package postgres

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Reasons that a caller may want to tell apart. The text of the error that
// wraps them says what to do.
var (
	ErrNoBinaries   = errors.New("PostgreSQL is not installed")
	ErrOtherVersion = errors.New("the database was made by another version of PostgreSQL")
	ErrDiskFull     = errors.New("the disk of the database is full")
	ErrPermission   = errors.New("the database directory may not be used")
)

// named wraps an error of the operating system in the reason that it stands
// for, and adds what to do.
func named(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return diskFull(err)
	case errors.Is(err, os.ErrPermission):
		return permission(err)
	}
	return err
}

// namedByLog does the same for what PostgreSQL itself wrote before it ended;
// the end of that is in the error.
func namedByLog(what, log string) error {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	err := fmt.Errorf("%s: %s", what, strings.Join(lines[max(0, len(lines)-quotedLines):], "\n"))
	switch {
	case strings.Contains(log, "No space left on device"), strings.Contains(log, "Disk quota exceeded"):
		return diskFull(err)
	case strings.Contains(log, "Permission denied"):
		return permission(err)
	}
	return err
}

// quotedLines is how much of a log is shown to a person.
const quotedLines = 8

func diskFull(err error) error {
	return fmt.Errorf("%w: free some space; nothing that was stored is lost: %w", ErrDiskFull, err)
}

func permission(err error) error {
	return fmt.Errorf("%w: choose another data directory, or give this one to the user that PostgreSQL runs as: %w", ErrPermission, err)
}
