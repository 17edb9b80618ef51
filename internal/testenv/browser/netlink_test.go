package browser

import (
	"errors"
	"syscall"
	"testing"
)

func TestNetlinkIsDeniedToThatThreadAlone(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	defer close(end)
	socket := func() error {
		fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, syscall.NETLINK_ROUTE)
		if err == nil {
			syscall.Close(fd)
		}
		return err
	}
	if err := withoutNetlink(end, socket); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("opening a netlink socket: %v, want it refused", err)
	}
	if err := withoutNetlink(end, func() error {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err == nil {
			syscall.Close(fd)
		}
		return err
	}); err != nil {
		t.Errorf("opening another socket: %v", err)
	}
	if err := socket(); err != nil {
		t.Errorf("opening a netlink socket elsewhere: %v", err)
	}
}
