package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// oomKills reads how many processes the kernel has killed in this process's
// control group for lack of memory. It is 0 where nothing can be read.
func oomKills() int64 {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		var mount, file string
		switch {
		case parts[0] == "0" && parts[1] == "":
			mount, file = "/sys/fs/cgroup", "memory.events"
		case parts[1] == "memory":
			mount, file = "/sys/fs/cgroup/memory", "memory.oom_control"
		default:
			continue
		}
		// In a container the mount often begins at the container's own group.
		for _, dir := range []string{filepath.Join(mount, parts[2]), mount} {
			if n, ok := readCounter(filepath.Join(dir, file), "oom_kill"); ok {
				return n
			}
		}
	}
	return 0
}

func readCounter(path, name string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == name {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
