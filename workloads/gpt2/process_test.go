package gpt2_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/cluster"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/worker"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// The environment of a test process that is a worker.
const (
	workerAddr  = "GENIE_TEST_WORKER_ADDR"
	workerLimit = "GENIE_TEST_WORKER_LIMIT"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(workerAddr); addr != "" {
		if err := serve(addr, os.Getenv(workerLimit)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve is a worker, until its standard input ends.
func serve(addr, limit string) error {
	n, err := strconv.ParseInt(limit, 10, 64)
	if err != nil {
		return err
	}
	w, err := worker.Open(worker.Options{Threads: 1, MemLimit: n})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = w.Close()
	}()
	return w.ServeTCP(l)
}

// process is a worker in a process of its own.
type process struct {
	t     testing.TB
	limit int64
	addr  string

	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.Closer
}

func startProcess(t testing.TB, limit int64) *process {
	t.Helper()
	p := &process{t: t, limit: limit, addr: "127.0.0.1:0"}
	require.NoError(t, p.start())
	t.Cleanup(p.kill)
	return p
}

// start starts it, at the address that it had before.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), workerAddr+"="+p.addr, workerLimit+"="+strconv.FormatInt(p.limit, 10))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	p.addr, p.cmd, p.in = strings.TrimSpace(line), cmd, in
	return nil
}

// kill ends it with a signal that it cannot see.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	_ = p.in.Close()
}

// stagesOf is a cluster of worker processes, each with a stage of the model.
func stagesOf(t *testing.T, workers []*process) *cluster.Executor {
	t.Helper()
	members := make([]cluster.Member, len(workers))
	for i, w := range workers {
		ex, err := tcp.Dial(t.Context(), w.addr, tcp.WithReconnect(20*time.Second))
		require.NoError(t, err)
		members[i] = cluster.Member{Name: fmt.Sprint("stage ", i), Executor: ex}
	}
	ex, err := cluster.New(members, stages(len(workers)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = ex.Close() })
	return ex
}

// TestLargerThanAWorker has workers whose memory budgets are smaller than the model:
// one refuses it, two and three have it in stages.
func TestLargerThanAWorker(t *testing.T) {
	const limit = 20 << 20
	c, ok := gpt2.Preset("gpt2-tiny")
	require.True(t, ok)
	c.Hidden, c.Heads, c.Inner, c.Layers, c.Vocab = 256, 4, 1024, 9, 512
	dir := filepath.Join(t.TempDir(), "wide")
	require.NoError(t, gpt2.NewCheckpointOf(t.Context(), c, 3, dir, gpt2.CheckpointOptions{}))
	m, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	r := genie.GenerateRequest{Prompts: [][]int{{1, 2, 3, 4, 5}}, MaxNew: 10, IgnoreEOS: true}
	alone, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer alone.Close()
	want := tokensOf(t, alone, m, r)

	small, err := genie.Open(t.Context(), "tcp://"+startProcess(t, limit).addr)
	require.NoError(t, err)
	defer small.Close()
	s, err := small.NewSession(t.Context())
	require.NoError(t, err)
	_, err = genie.Generate(t.Context(), s, m.LM, r)
	require.ErrorIs(t, err, transport.ErrMemory)

	for _, n := range []int{2, 3} {
		workers := make([]*process, n)
		for i := range workers {
			workers[i] = startProcess(t, limit)
		}
		require.Equal(t, want, tokensOf(t, genie.NewClient(stagesOf(t, workers)), m, r), "%d workers", n)
	}
}

func tokensOf(t *testing.T, c *genie.Client, m *gpt2.Model, r genie.GenerateRequest) [][]int {
	t.Helper()
	s, err := c.NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	out, err := genie.Generate(t.Context(), s, m.LM, r)
	require.NoError(t, err)
	return out.Tokens
}

// TestStageKilled kills one of two stages again and again while they generate, and
// starts it anew: no token is another one.
func TestStageKilled(t *testing.T) {
	m := load(t, "basic")
	r := genie.GenerateRequest{Prompts: [][]int{{1, 2, 3}, {7}}, MaxNew: 16, Temperature: .9, TopK: 40, Seed: 11, IgnoreEOS: true}
	alone, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer alone.Close()
	want := tokensOf(t, alone, m, r)
	workers := []*process{startProcess(t, 0), startProcess(t, 0)}
	c := genie.NewClient(stagesOf(t, workers))
	random := rand.New(rand.NewPCG(15, 16))
	for round := range 6 {
		s, err := c.NewSession(t.Context())
		require.NoError(t, err)
		victim, at, said := workers[random.IntN(len(workers))], 1+random.IntN(24), 0
		again := make(chan error, 1)
		r := r
		r.OnToken = func(int, int) error {
			if said++; said == at {
				victim.kill()
				go func() { again <- victim.start() }()
			}
			return nil
		}
		out, err := genie.Generate(t.Context(), s, m.LM, r)
		require.NoError(t, err, "round %d", round)
		require.NoError(t, <-again)
		require.Equal(t, want, out.Tokens, "round %d", round)
		require.Positive(t, out.Rebuilt, "round %d", round)
		s.Close()
	}
}
