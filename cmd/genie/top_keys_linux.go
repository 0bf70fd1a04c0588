package main

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// keyWait is how long one wait for keys takes, and so the maximum time for
// closing.
const keyWait = 100 * time.Millisecond

// keys reads single keys from a terminal, which still turns Ctrl-C and Ctrl-Z
// into signals.
type keys struct {
	fd    int
	was   *unix.Termios // nil if keys are not read
	taken atomic.Bool   // the terminal is in raw mode now
	quit  chan struct{} // closed by q or Q
	end   chan struct{}
	wg    sync.WaitGroup
}

// newKeys reads keys from in if it is a terminal.
func newKeys(in *os.File) *keys {
	k := &keys{quit: make(chan struct{}), end: make(chan struct{})}
	if in == nil {
		return k
	}
	k.fd = int(in.Fd())
	if k.was, _ = unix.IoctlGetTermios(k.fd, unix.TCGETS); k.was == nil {
		return k // no terminal
	}
	k.take()
	k.wg.Go(k.watch)
	return k
}

// take makes the terminal deliver keys one by one, without echo.
func (k *keys) take() {
	if k.was == nil {
		return
	}
	// In the background another process owns the terminal, and accessing it
	// would stop this process.
	if front, err := unix.IoctlGetInt(k.fd, unix.TIOCGPGRP); err == nil && front != unix.Getpgrp() {
		return
	}
	mode := *k.was
	mode.Lflag &^= unix.ICANON | unix.ECHO
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(k.fd, unix.TCSETS, &mode) == nil {
		k.taken.Store(true)
	}
}

// restore restores the terminal.
func (k *keys) restore() {
	if k.taken.Swap(false) {
		_ = unix.IoctlSetTermios(k.fd, unix.TCSETS, k.was)
	}
}

func (k *keys) watch() {
	var b [16]byte
	for {
		select {
		case <-k.end:
			return
		default:
		}
		at := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}}
		if !k.taken.Load() {
			at = nil // only wait
		}
		if n, err := unix.Poll(at, int(keyWait/time.Millisecond)); err != nil || n == 0 {
			if err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
			continue
		}
		n, err := unix.Read(k.fd, b[:])
		if err != nil || n <= 0 {
			return
		}
		for _, key := range b[:n] {
			if key == 'q' || key == 'Q' {
				close(k.quit)
				return
			}
		}
	}
}

func (k *keys) close() {
	close(k.end)
	k.wg.Wait()
	k.restore()
}
