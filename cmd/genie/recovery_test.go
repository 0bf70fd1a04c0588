package main

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// killsEnv is how often TestKilledWorker kills; 5 times without it.
const killsEnv = "GENIE_KILLS"

// killed is a text long enough to be killed in.
func killed() genie.GenerateRequest {
	return genie.GenerateRequest{
		Prompts: [][]int{{1, 2, 3}, {9, 8}}, MaxNew: 28, Temperature: .8, Seed: 5, IgnoreEOS: true,
	}
}

func loadModel(t *testing.T) *gpt2.Model {
	t.Helper()
	m, err := gpt2.Load(t.Context(), basic, gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// writes generates on a new client of an executor.
func writes(t *testing.T, executor string, m *gpt2.Model, r genie.GenerateRequest, opts ...genie.Option) (*genie.Generation, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := genie.Open(ctx, executor, opts...)
	if err != nil {
		return nil, err
	}
	defer func() { require.NoError(t, c.Close()) }()
	s, err := c.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	return genie.Generate(ctx, s, m.LM, r)
}

func unbroken(t *testing.T, m *gpt2.Model, r genie.GenerateRequest) [][]int {
	t.Helper()
	out, err := writes(t, "local:", m, r)
	require.NoError(t, err)
	return out.Tokens
}

// kill ends a worker without warning, and waits until it is gone.
func (c *child) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Kill())
	_ = c.cmd.Wait()
}

// TestKilledWorker kills a worker process at random moments of a generation and
// restarts it at the same address: the generation resumes and equals an
// unbroken one.
func TestKilledWorker(t *testing.T) {
	kills := 5
	if n, err := strconv.Atoi(os.Getenv(killsEnv)); err == nil {
		kills = n
	}
	m := loadModel(t)
	want := unbroken(t, m, killed())
	dice := rand.New(rand.NewPCG(1, 5))
	for i := range kills {
		scheme := []string{"tcp", "grpc"}[i%2]
		policy := []string{"full", "resident", "blind"}[i%3]
		w := startChild(t, []string{scheme + "://127.0.0.1:0"})
		url := w.urls[0]
		// At a token, and a moment after it: between two tokens, within a step,
		// and within the loop of the worker.
		at, after := 1+dice.IntN(40), time.Duration(dice.IntN(1500))*time.Microsecond
		r, n := killed(), 0
		r.OnToken = func(int, int) error {
			if n++; n == at {
				timer := time.NewTimer(after)
				<-timer.C
				w.kill(t)
				w = startChild(t, []string{url})
			}
			return nil
		}
		p, err := semantic.PolicyNamed(policy)
		require.NoError(t, err)
		out, err := writes(t, url, m, r, genie.WithPolicy(p))
		require.NoError(t, err, "%s, %s, killed at token %d", scheme, policy, at)
		require.Equal(t, want, out.Tokens, "%s, %s, killed at token %d", scheme, policy, at)
		require.GreaterOrEqual(t, n, at)
		w.kill(t)
	}
}

// steps asks for every token by itself, so that a worker that is killed has not
// done the rest already.
func steps() semantic.Features {
	return semantic.Features{Label: "steps", Weights: true, State: true, Sampling: true, Prune: true}
}

// TestAnotherWorker resumes on the second of two workers, over the other
// transport.
func TestAnotherWorker(t *testing.T) {
	m := loadModel(t)
	want := unbroken(t, m, killed())
	second := startChild(t, []string{"grpc://127.0.0.1:0"})
	var first *child
	for _, p := range []semantic.Policy{semantic.Full(), steps()} {
		first = startChild(t, anyTCP())
		r, n := killed(), 0
		r.OnToken = func(int, int) error {
			if n++; n == 9 {
				first.kill(t)
			}
			return nil
		}
		out, err := writes(t, first.urls[0]+","+second.urls[0], m, r, genie.WithReconnect(400*time.Millisecond), genie.WithPolicy(p))
		require.NoError(t, err)
		require.Equal(t, want, out.Tokens)
		require.LessOrEqual(t, out.Rebuilt, 1)
		if p.Name() == steps().Name() { // a loop may have been done before its worker was killed
			require.Equal(t, 1, out.Rebuilt)
		}
	}
	// The command takes the list too, and begins with the one that answers.
	args := []string{"generate", "--model", basic, "--tokens", "1,2,3", "--max-new", "4", "--json", "--executor"}
	got := decode[generateReport](t, append(args, first.urls[0]+","+second.urls[0])...)
	require.Equal(t, second.cmd.Process.Pid, got.WorkerPID)
}

// TestOtherWeights restarts a worker over a model folder in which the same name
// stands for other weights: they are not taken for the right ones.
func TestOtherWeights(t *testing.T) {
	models := t.TempDir()
	name := filepath.Base(basic)
	fill := func(from string) {
		require.NoError(t, os.RemoveAll(filepath.Join(models, name)))
		require.NoError(t, os.CopyFS(filepath.Join(models, name), os.DirFS(from)))
	}
	fill(basic)
	m := loadModel(t)
	want := unbroken(t, m, killed())
	w := startChild(t, anyTCP(), "--models", models)
	url := w.urls[0]
	r, n := killed(), 0
	r.OnToken = func(int, int) error {
		if n++; n == 7 {
			w.kill(t)
			spoil(t, filepath.Join(models, name))
			w = startChild(t, []string{url}, "--models", models)
		}
		return nil
	}
	out, err := writes(t, url, m, r, genie.WithPolicy(steps()))
	require.NoError(t, err)
	require.Equal(t, want, out.Tokens)
	require.Positive(t, out.Wire.Sent.Map()["weights"], "the right ones were sent")
}

// spoil changes the weights of a checkpoint.
func spoil(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for i := len(b) / 2; i < len(b); i += 5 {
			b[i] ^= 0x40
		}
		require.NoError(t, os.WriteFile(f, b, 0o600))
	}
	// Hashes stored beside the checkpoint would be those of the old content.
	hidden, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	for _, f := range hidden {
		require.NoError(t, os.RemoveAll(f))
	}
}

// counterProgram is sum' = sum + x, with sum carried.
func counterProgram() (out *lazy.Tensor) {
	g := lazy.NewGraph("sum")
	x, sum := g.Input("x", lazy.F32, 2), g.Input("sum", lazy.F32, 2)
	out = g.Output("next", lazy.Add(sum, x))
	g.Carry(sum, out)
	return out
}

// TestRestartedWorker checks a session whose worker was restarted: handles are
// stale, carried state is reported as lost and never reads as zeros.
func TestRestartedWorker(t *testing.T) {
	for _, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			ctx := t.Context()
			w := startChild(t, []string{scheme + "://127.0.0.1:0"})
			c, err := genie.Open(ctx, w.urls[0])
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close()) }()
			s, err := c.NewSession(ctx)
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			sum := counterProgram()
			one := genie.Feed{"x": genie.Float32s([]float32{1, 2}, 2)}
			for range 3 {
				_, err = s.Run(ctx, one, sum)
				require.NoError(t, err)
			}
			g := lazy.NewGraph("double")
			x := g.Input("x", lazy.F32, 2)
			double := lazy.Add(x, x)
			kept, err := s.RunRetain(ctx, one, double)
			require.NoError(t, err)
			require.True(t, kept[0].Remote())

			w.kill(t)
			startChild(t, []string{w.urls[0]})

			_, err = kept[0].Float32s(ctx)
			require.ErrorIs(t, err, genie.ErrStaleHandle)
			for range 2 {
				_, err = s.Run(ctx, one, sum)
				require.ErrorIs(t, err, genie.ErrSessionLost)
			}
			_, err = s.Run(ctx, genie.Feed{"x": kept[0]}, double)
			require.ErrorIs(t, err, genie.ErrStaleHandle)
			out, err := s.Run(ctx, one, double)
			require.NoError(t, err, "what carries nothing is done again")
			v, err := out[0].Float32s(ctx)
			require.NoError(t, err)
			require.Equal(t, []float32{2, 4}, v)
			require.NoError(t, s.Reset(ctx))
			out, err = s.Run(ctx, one, sum)
			require.NoError(t, err)
			v, err = out[0].Float32s(ctx)
			require.NoError(t, err)
			require.Equal(t, []float32{1, 2}, v)
		})
	}
}

// TestStoppedWorker suspends a worker process in the middle of a generation,
// which keeps its connections open: its silence is noticed.
func TestStoppedWorker(t *testing.T) {
	t.Parallel()
	m := loadModel(t)
	for _, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			w := startChild(t, []string{scheme + "://127.0.0.1:0"})
			r, n := killed(), 0
			var stopped time.Time
			r.OnToken = func(int, int) error {
				if n++; n == 5 {
					stopped = time.Now()
					return w.cmd.Process.Signal(syscall.SIGSTOP)
				}
				return nil
			}
			_, err := writes(t, w.urls[0], m, r, genie.WithRecovery(false), genie.WithPolicy(semantic.Resident()))
			require.ErrorIs(t, err, genie.ErrUnreachable)
			require.ErrorContains(t, err, w.urls[0])
			require.Less(t, time.Since(stopped), 4*time.Second)
		})
	}
}

// TestDeadClient kills a client process in the middle of a text: all that the
// worker held for it is back when the lease lapses.
func TestDeadClient(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]os.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startChild(t, anyTCP(), "--lease", "4s")
			cmd := command(t, "generate", "--model", austen, "--tokens", "1", "--max-new", "250", "--ignore-eos",
				"--policy", "resident", "--executor", w.urls[0])
			cmd.Env = append(os.Environ(), "GENIE_CPU=generic")
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			_, err = stdout.Read(make([]byte, 1))
			require.NoError(t, err)
			require.NoError(t, cmd.Process.Signal(end))
			dead := time.Now()
			c, err := genie.Open(t.Context(), w.urls[0])
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close()) }()
			require.Eventually(t, func() bool {
				st, err := c.Stats(t.Context())
				return err == nil && st.Sessions == 0 && st.StateBytes == 0
			}, 10*time.Second, 20*time.Millisecond)
			require.Less(t, time.Since(dead), 5*time.Second, "within the lease, and a moment")
		})
	}
}

// TestNoRecovery verifies that the flag turns it off.
func TestNoRecovery(t *testing.T) {
	w := startChild(t, anyTCP())
	cmd := command(t, "generate", "--model", austen, "--tokens", "1", "--max-new", "250", "--ignore-eos", "--policy", "resident",
		"--executor", w.urls[0], "--no-recovery")
	cmd.Env = append(os.Environ(), "GENIE_CPU=generic")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = stdout.Read(make([]byte, 1))
	require.NoError(t, err)
	w.kill(t)
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Contains(t, stderr.String(), "unreachable")
	require.Contains(t, stderr.String(), w.urls[0])
	require.Len(t, slices.Collect(strings.Lines(stderr.String())), 1)
}
