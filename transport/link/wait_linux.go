package link

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// fdTimer is a system timer that wakes the runtime's poller: no thread waits,
// and it is not rounded to the poller's milliseconds.
type fdTimer struct {
	fd   int
	file *os.File
}

// newPreciseTimer returns nil when there are no descriptors left: times are
// then coarser, and [Counters] reports by how much.
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

// yieldUntil lets other goroutines run until the given moment.
func yieldUntil(until time.Time) {
	for time.Until(until) > 0 {
		runtime.Gosched()
	}
}
