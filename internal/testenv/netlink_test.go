package testenv_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"cronium.dev/internal/testenv"
)

// openSockets prints whether a netlink (16) and an internet (2) socket can be
// opened.
const openSockets = `foreach $family (16, 2) { print socket($s, $family, 2, 0) ? "open\n" : "$!\n" }`

func TestProgramCannotOpenNetlink(t *testing.T) {
	t.Parallel()
	perl, err := exec.LookPath("perl")
	if err != nil {
		t.Fatal(err)
	}
	program, environment, err := testenv.WithoutNetlink(perl)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, program, environment, want string }{
		{"as it is", perl, "", "open\nopen\n"},
		{"without", program, environment, "Address family not supported by protocol\nopen\n"},
	} {
		command := exec.Command(c.program, "-e", openSockets)
		command.Env = append(os.Environ(), c.environment)
		var complaint strings.Builder
		command.Stderr = &complaint
		said, err := command.Output()
		if err != nil || string(said) != c.want {
			t.Errorf("%s: it says %q (%v, %s), want %q", c.name, said, err, complaint.String(), c.want)
		}
	}
}
