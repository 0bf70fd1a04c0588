package worker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/worker"
)

// The processes of the soak are this test binary again; soakRole selects their
// role.
const (
	soakRole = "GENIE_SOAK_ROLE" // worker, or client
	soakArgs = "GENIE_SOAK_ARGS" // of a client: how, address, seed
)

// playRole is main of a process of the soak; false when this is none.
func playRole() bool {
	var err error
	switch os.Getenv(soakRole) {
	case "worker":
		err = soakWorker(os.Stdin, os.Stdout)
	case "client":
		err = soakClientMain(strings.Fields(os.Getenv(soakArgs)), os.Stdin, os.Stdout)
	default:
		return false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// soakState is what a worker process says of itself.
type soakState struct {
	TCP, GRPC                            string
	Sessions, State, Staged, WeightBytes int64
	Scratch, Heap                        int64
	Goroutines, Plans                    int64
}

// soakWorker serves until in ends, and says how it is for every line of in.
func soakWorker(in io.Reader, out io.Writer) error {
	e, err := host.Open(engine.Options{})
	if err != nil {
		return err
	}
	s := worker.New(worker.Options{Engine: worker.ForEngine(e), Lease: soakLease})
	state := soakState{}
	served := make(chan error, 2)
	for _, l := range []struct {
		addr  *string
		serve func(net.Listener) error
	}{{&state.TCP, s.Serve}, {&state.GRPC, s.ServeGRPC}} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*l.addr = listener.Addr().String()
		go func() { served <- l.serve(listener) }()
	}
	lines := bufio.NewScanner(in)
	for {
		st := e.Stats()
		state.Sessions, state.State, state.WeightBytes, state.Scratch = st.Sessions, st.StateBytes, st.WeightBytes, st.ScratchBytes
		state.Staged, state.Plans, state.Goroutines = s.Staged(), st.Plans, int64(runtime.NumGoroutine())
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		state.Heap = int64(mem.HeapInuse)
		if err := json.NewEncoder(out).Encode(state); err != nil {
			return err
		}
		if !lines.Scan() {
			break
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	for range 2 {
		if err := <-served; err != nil {
			return err
		}
	}
	return e.Close()
}

// soakClientMain is a client until it is killed, or in ends. It says what it has
// done about ten times a second, so that a death costs little of its figures.
func soakClientMain(args []string, in io.Reader, out io.Writer) error {
	seed, err := strconv.ParseUint(args[2], 10, 64)
	if err != nil {
		return err
	}
	want, err := soakReference(context.Background())
	if err != nil {
		return err
	}
	c := &soakClient{how: args[0], addr: args[1], want: want, rng: rand.New(rand.NewPCG(seed, 2))}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		c.work(stop)
	}()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		close(stop)
	}()
	report := func() error { return json.NewEncoder(out).Encode(c.snapshot()) }
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-tick.C:
			if err := report(); err != nil {
				return err
			}
		case <-done:
			tick.Stop()
			return report()
		}
	}
}

// process is a process of the soak.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startProcess(t testing.TB, role, args string) *process {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), soakRole+"="+role, soakArgs+"="+args)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return &process{cmd, in, bufio.NewReader(out)}
}

// end ends a process in order, or with a signal that it cannot see, and gives
// the figures that it reported last.
func (p *process) end(kill bool) (last soakFigures, err error) {
	if kill {
		_ = p.cmd.Process.Kill()
	} else {
		_ = p.in.Close()
	}
	for lines := bufio.NewScanner(p.out); lines.Scan(); {
		var f soakFigures
		if json.Unmarshal(lines.Bytes(), &f) == nil { // the last line of one that was killed may be half
			last = f
		}
	}
	_ = p.in.Close()
	if err = p.cmd.Wait(); kill {
		err = nil
	}
	return last, err
}

// state asks a worker how it is.
func (p *process) state(t testing.TB) (s soakState) {
	_, err := io.WriteString(p.in, "\n")
	require.NoError(t, err, "the worker has ended")
	p.read(t, &s)
	return s
}

func (p *process) read(t testing.TB, s *soakState) {
	line, err := p.out.ReadBytes('\n')
	require.NoError(t, err, "the worker has ended")
	require.NoError(t, json.Unmarshal(line, s))
}

// resident is the memory of a process that the system holds for it, in bytes,
// and the number of its descriptors; zero where the system does not tell.
func (p *process) resident() (rss, descriptors int64) {
	proc := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			rss = kb << 10
		}
	}
	list, _ := os.ReadDir(proc + "fd")
	return rss, int64(len(list))
}
