package container

import "time"

// plan says what a container is made of.
type plan struct {
	name         string // "" = the engine's choice
	image        string
	command      []string
	user         string
	workdir      string
	labels       map[string]string
	network      string // the engine's network mode
	dns          []string
	volume       string   // of the agent, at agentDir
	declared     []string // folders that the image declares as volumes
	writable     bool     // the volume is mounted to be filled
	tmpfs        map[string]string
	memory       int64 // bytes, swap included; 0 = no limit
	nanoCPUs     int64
	processes    int64
	sharedMemory int64    // bytes of /dev/shm
	capabilities []string // added to none
}

// state is what the engine says of one container.
type state struct {
	id       string
	labels   map[string]string
	running  bool
	paused   bool
	oom      bool
	exitCode int
	message  string
	created  time.Time
}
