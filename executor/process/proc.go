package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// startTime is when a process was started, in the kernel's ticks: with the pid
// it names one process for ever. It is "" for one that has ended.
func startTime(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before it may hold anything but this
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// kill kills the processes whose environment names a socket in the folder:
// scripts, and what they started. It gives their number.
func kill(folder string) int {
	mark := []byte("\x00CRONIUM_SOCKET=" + filepath.Clean(folder) + "/")
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return 0 // the pattern is fixed
	}
	killed := 0
	for _, file := range environments {
		environment, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, environment...), mark) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil && startTime(pid) != "" && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}
