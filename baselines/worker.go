package baselines

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport/link"
)

// The seeds decide the jitter of what each end of a link writes.
const (
	clientSeed = 1
	workerSeed = 2
)

// errWorker is the cause of errors about the worker process.
var errWorker = errors.New("genie: worker process")

// Worker is a worker in its own process.
type Worker struct {
	TCP, GRPC string // URLs
	cmd       *exec.Cmd
	stdin     io.WriteCloser
}

// StartWorker runs this executable again as a worker on loopback, at the other
// end of a link of that name ([link.Parse]). The program must call [RunChild]
// first if [Child] reports true.
func StartWorker(ctx context.Context, net string) (*Worker, error) {
	return startWorker(ctx, net, 0, anyCPU)
}

// anyCPU leaves it to the system where a worker runs.
const anyCPU = -1

// envThreads is the number of compute threads of a worker process; 0 is its own
// default.
const envThreads = "GENIE_CHILD_THREADS"

// startWorker is [StartWorker] with a number of threads, on one CPU.
func startWorker(ctx context.Context, net string, threads, cpu int) (*Worker, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), EnvChild+"="+childWorker, link.EnvNet+"="+net, fmt.Sprintf("%s=%d", envThreads, threads))
	cmd.Stderr = os.Stderr
	// The child ends when this pipe closes, so it cannot outlive this process.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start := cmd.Start
	if cpu != anyCPU {
		start = func() error { return startOn(cmd, cpu) }
	}
	if err := start(); err != nil {
		return nil, err
	}
	w := &Worker{cmd: cmd, stdin: stdin}
	lines := bufio.NewScanner(stdout)
	for (w.TCP == "" || w.GRPC == "") && lines.Scan() {
		switch url, _ := strings.CutPrefix(lines.Text(), "listening "); {
		case strings.HasPrefix(url, "tcp:"):
			w.TCP = url
		case strings.HasPrefix(url, "grpc:"):
			w.GRPC = url
		}
	}
	if w.GRPC == "" {
		return nil, errors.Join(fmt.Errorf("%w: it did not start to listen", errWorker), w.Close())
	}
	return w, nil
}

// PID is the process id of the worker.
func (w *Worker) PID() int { return w.cmd.Process.Pid }

// Close ends the worker and waits for it.
func (w *Worker) Close() error {
	_ = w.stdin.Close()
	return w.cmd.Wait()
}

// runWorker is the main function of the worker process. It listens on two free
// loopback ports, writes their URLs, and serves until its standard input ends.
// It is the worker's end of the link that GENIE_NET names.
func runWorker() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	profile, err := link.FromEnv()
	if err != nil {
		return err
	}
	shaped := link.New(profile, workerSeed)
	threads, err := strconv.Atoi(cmp.Or(os.Getenv(envThreads), "0"))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errWorker, envThreads, err)
	}
	e, err := host.Open(engine.Options{Threads: threads})
	if err != nil {
		return err
	}
	s := worker.New(worker.Options{Engine: worker.ForEngine(e)})
	failed := make(chan error, 2)
	for scheme, serve := range map[string]func(net.Listener) error{"tcp": s.Serve, "grpc": s.ServeGRPC} {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(os.Stdout, "listening %s://%s\n", scheme, l.Addr()); err != nil {
			return err
		}
		if profile.Shapes() {
			l = shaped.Listener(l)
		}
		go func() { failed <- serve(l) }()
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	case err := <-failed:
		return err
	}
	return errors.Join(s.Close(), e.Close())
}
