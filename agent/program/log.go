package program

import (
	"io"
	"os"
	"sync"
)

// logBytes bounds the file of an agent's log.
const logBytes = 1 << 20

// newLog is where an agent's log goes: when that is a file, it begins anew once
// it is full, because nobody else looks after it on a host.
func newLog(f *os.File) io.Writer {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return f
	}
	return &boundedLog{file: f, size: info.Size()}
}

// boundedLog appends to a file that was opened for that.
type boundedLog struct {
	file *os.File

	mu   sync.Mutex
	size int64
}

func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+int64(len(p)) > logBytes {
		if err := l.file.Truncate(0); err != nil {
			return 0, err
		}
		l.size = 0
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}
