package main

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pty is a terminal that a program draws on.
type pty struct {
	t            *testing.T
	master, user *os.File

	mu   sync.Mutex
	said strings.Builder
}

func newPTY(t *testing.T, width, height uint16) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = master.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	user, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = user.Close() })
	p := &pty{t: t, master: master, user: user}
	p.size(width, height)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.said.Write(b[:n])
			p.mu.Unlock()
		}
	}()
	return p
}

func (p *pty) size(width, height uint16) {
	p.t.Helper()
	require.NoError(p.t, unix.IoctlSetWinsize(int(p.user.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}))
}

func (p *pty) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// shows waits for a whole drawing in which there is some text, and gives its
// lines.
func (p *pty) shows(text string) (lines []string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		drawings := strings.Split(p.text(), "\x1b[H")
		last := drawings[len(drawings)-1]
		if !strings.HasSuffix(last, "\x1b[J") || !strings.Contains(last, text) {
			return false
		}
		lines = strings.Split(strings.TrimSuffix(last, "\x1b[K\x1b[J"), "\x1b[K\r\n")
		return true
	}, 30*time.Second, time.Millisecond, text)
	for _, l := range lines {
		require.NotContains(p.t, l, "\x1b")
		require.NotContains(p.t, l, "\n")
	}
	return lines
}

// TestTopOnATerminal watches a worker on a terminal of 60 columns that is
// resized; the worker restarts, top is suspended and resumed, and restores the
// terminal at the end.
func TestTopOnATerminal(t *testing.T) {
	// Ports that are free now are so again when the worker has ended.
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		return l.Addr().String()
	}
	metrics := free()
	begin := func() *child {
		w := startChild(t, anyTCP(), "--metrics", metrics)
		_, err := w.lines.ReadString('\n') // it serves metrics
		require.NoError(t, err)
		return w
	}
	w := begin()
	p := newPTY(t, 60, 24)
	cmd := command(t, "top", "http://"+metrics, "--interval", "20ms")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.user, p.user, p.user
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()

	narrow := p.shows("ready")
	require.True(t, strings.HasPrefix(p.text(), screenOpen), "another screen, before anything is drawn")
	require.Len(t, narrow, 24, "all of it, without the empty lines that there is no room for")
	for _, l := range narrow {
		require.Less(t, len(l), 60, l)
	}
	require.Regexp(t, `^http://`+regexp.QuoteMeta(metrics)+`  \d\d:\d\d:\d\d  ready$`, narrow[0])
	require.Regexp(t, `^ +all( +-){4}$`, narrow[23])

	p.size(100, 40)
	require.NoError(t, cmd.Process.Signal(syscall.SIGWINCH))
	require.Contains(t, p.shows("ready  version")[0], "last 0.0 s", "it has room on one line")

	code, _ := w.signal(t, syscall.SIGTERM)
	require.Zero(t, code)
	p.shows("NOT REACHABLE")
	gone := p.shows("refused")
	require.Contains(t, gone[0], "NOT REACHABLE")
	require.True(t, strings.HasPrefix(gone[1], "dial tcp "+metrics), gone[1])
	require.Contains(t, strings.Join(gone, "\n"), "bytes by cause", "what was seen last stays")
	w = begin()
	p.shows("ready")
	require.Zero(t, cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "2", "--executor", w.urls[0]).code)
	require.Eventually(t, func() bool { return strings.Contains(strings.Join(p.shows("weights"), "\n"), "KiB") }, 30*time.Second, time.Millisecond)

	require.NoError(t, cmd.Process.Signal(syscall.SIGTSTP))
	require.Eventually(t, func() bool { return strings.HasSuffix(p.text(), screenClose) && stopped(t, cmd.Process.Pid) }, 30*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	p.shows("ready")
	require.Contains(t, p.text(), screenClose+screenOpen)

	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait())
	require.Eventually(t, func() bool { return strings.HasSuffix(p.text(), screenClose) }, 30*time.Second, time.Millisecond, "the terminal is as before")
	require.Equal(t, strings.Count(p.text(), screenOpen), strings.Count(p.text(), screenClose))
}

// TestTopEndsWithQ leaves on a key, and gives the terminal back in its mode.
func TestTopEndsWithQ(t *testing.T) {
	w := startChild(t, anyTCP(), "--metrics", "127.0.0.1:0")
	said, err := w.lines.ReadString('\n')
	require.NoError(t, err)
	at := regexp.MustCompile(`http://[^/\s]+`).FindString(said)
	p := newPTY(t, 80, 24)
	mode := func() *unix.Termios {
		m, err := unix.IoctlGetTermios(int(p.user.Fd()), unix.TCGETS)
		require.NoError(t, err)
		return m
	}
	before := mode()
	cmd := command(t, "top", at, "--interval", "20ms")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.user, p.user, p.user
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	p.shows("ready")
	require.Zero(t, mode().Lflag&unix.ICANON, "keys come one by one")
	require.NotZero(t, mode().Lflag&unix.ISIG, "Ctrl-C still makes a signal")
	_, err = p.master.WriteString("xq")
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Eventually(t, func() bool { return strings.HasSuffix(p.text(), screenClose) }, 30*time.Second, time.Millisecond)
	require.Equal(t, before, mode())
}

// stopped reports whether a process is suspended.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(b), ") ")
	return ok && rest[0] == 'T'
}
