package agent

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"cronium.dev/agent/helper"
)

// defaultPath is where programs are looked for when nobody says.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// sentence is an error that is written for the person who started the script.
type sentence string

func (s sentence) Error() string { return string(s) }

// environment is all that the script sees: what the image says (in a container
// the agent's own environment is that of the image), what the manifest says,
// and what the helper libraries need.
func (e *execution) environment() map[string]string {
	env := inherited(os.Getpid() == 1, os.Environ())
	setDefault := func(name, value string) {
		if _, ok := env[name]; !ok {
			env[name] = value
		}
	}
	setDefault("PATH", defaultPath)
	setDefault("LANG", "C.UTF-8")
	env["HOME"] = e.workDir()
	maps.Copy(env, e.account.environment())
	env["TMPDIR"] = filepath.Join(e.boxDir(), "tmp")
	for name, value := range e.manifest.GetEnvironment() {
		env[name] = value
	}
	lists, values := helper.Environment(e.agent.config.Work, e.box)
	for name, dir := range lists {
		if env[name] == "" {
			env[name] = dir
		} else {
			env[name] = dir + ":" + env[name]
		}
	}
	for name, value := range values {
		env[name] = value
	}
	name, value, _ := strings.Cut(e.mark(), "=")
	env[name] = value
	return env
}

// inherited is what a script gets of the agent's environment. On a host that is
// next to nothing.
func inherited(container bool, environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		shared := name == "PATH" || name == "TZ"
		if shared || container && !strings.HasPrefix(name, "CRONIUM_") && !strings.HasPrefix(name, "GO") {
			env[name] = value
		}
	}
	return env
}

// command is the manifest's with the path of its entry file put in, and the
// program found.
func (e *execution) command(env map[string]string) (path string, args []string, err error) {
	entry := filepath.Join(e.workDir(), filepath.FromSlash(e.manifest.GetEntry()))
	for _, word := range e.manifest.GetCommand() {
		args = append(args, strings.ReplaceAll(word, "{entry}", entry))
	}
	program := args[0]
	if strings.Contains(program, "/") {
		if !filepath.IsAbs(program) {
			program = filepath.Join(e.workDir(), program)
		}
		return program, args, nil
	}
	path = lookPath(program, env["PATH"])
	if path == "" {
		searched := strings.TrimPrefix(env["PATH"], filepath.Join(e.agent.config.Work, "bin")+":")
		return "", nil, sentence(fmt.Sprintf("There is no %s here: none of the directories %s has it. Choose an image or a machine that has it.", program, searched))
	}
	return path, args, nil
}

// lookPath finds a program in a list of directories, "" if none has it.
func lookPath(program, list string) string {
	for dir := range strings.SplitSeq(list, ":") {
		if !filepath.IsAbs(dir) {
			continue // it would depend on where the agent runs
		}
		path := filepath.Join(dir, program)
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
			return path
		}
	}
	return ""
}

// whyNotStarted puts the system's refusal to run a program into words.
func whyNotStarted(program string, err error) sentence {
	return sentence(program + " cannot be run: " + refusalToRun(err) + ".")
}

func refusalToRun(err error) string {
	switch {
	case errors.Is(err, unix.ENOENT):
		return "it, or the interpreter or loader that it names, does not exist here"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return "the agent may not execute it (its permissions, or a file system mounted noexec)"
	case errors.Is(err, unix.ENOEXEC):
		return "it is neither a program for this machine (" + machine + ") nor a script that begins with #!"
	case errors.Is(err, unix.E2BIG):
		return "its environment and arguments are larger than the system allows"
	case errors.Is(err, unix.EAGAIN):
		return "the limit of processes is reached"
	case errors.Is(err, unix.ENOMEM):
		return "there is not enough memory"
	}
	return err.Error()
}

// whyNotPrepared puts an error before the start into words.
func whyNotPrepared(err error) sentence {
	var said sentence
	if errors.As(err, &said) {
		return said
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return sentence(fmt.Sprintf("The disk of the target is full, so the script could not be put there (%v). Free some space or raise the disk limit.", err))
	}
	return sentence(fmt.Sprintf("The script could not be put on the target: %v.", err))
}
