package link

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// fdTimer is a timer of the system that wakes the poller of the runtime: no
// thread waits, and it is not rounded to the poller's milliseconds.
type fdTimer struct {
	fd   int
	file *os.File
}

// newPreciseTimer returns nil when descriptors have run out: times are coarser
// then, and [Counters] says by how much.
func newPreciseTimer() preciseTimer {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil
	}
	return &fdTimer{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}
}

func (t *fdTimer) sleep(d time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	if err := unix.TimerfdSettime(t.fd, 0, &spec, nil); err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	var expirations [8]byte
	_, err := t.file.Read(expirations[:])
	return err
}

func (t *fdTimer) close() { _ = t.file.Close() }

// yieldUntil lets other goroutines run until the moment has come.
func yieldUntil(until time.Time) {
	for time.Until(until) > 0 {
		runtime.Gosched()
	}
}
