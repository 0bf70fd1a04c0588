package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// workerProcess is a worker owned by this process.
type workerProcess struct {
	url    string
	pid    int
	stdin  io.Closer
	cancel context.CancelFunc
	ended  chan struct{}
}

// startWorker starts this program again as a worker on a free loopback port and
// waits until it listens. The worker ends with ctx, with stop, and, since it
// watches the pipe to its standard input, with this process, however that ends.
func startWorker(ctx context.Context) (*workerProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, exe, "worker", "--listen", "tcp://127.0.0.1:0", "--stop-on-eof")
	cmd.WaitDelay = time.Second
	detach(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	// A separate pipe, because Wait closes that of StdoutPipe.
	stdout, child, err := os.Pipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	cmd.Stdout = child
	err = cmd.Start()
	_ = child.Close()
	if err != nil {
		cancel()
		_ = stdout.Close()
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	w := &workerProcess{pid: cmd.Process.Pid, stdin: stdin, cancel: cancel, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(w.ended)
	}()
	first, err := bufio.NewReader(stdout).ReadString('\n')
	_ = stdout.Close()
	url, ok := strings.CutPrefix(strings.TrimSpace(first), "listening ")
	if err == nil && ok {
		w.url = url
		return w, nil
	}
	if err != nil {
		<-w.ended // the worker has closed its end: it is exiting
	}
	w.stop()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	why := strings.TrimSpace(stderr.String())
	if why == "" {
		why = fmt.Sprintf("it said %q", first)
	}
	return nil, errors.New("the worker did not start: " + why)
}

// stop ends the worker, by a signal first and by force after a while. When it
// returns the process is gone.
func (w *workerProcess) stop() {
	_ = w.stdin.Close()
	kill := time.AfterFunc(2*time.Second, w.cancel)
	<-w.ended
	kill.Stop()
	w.cancel()
}
