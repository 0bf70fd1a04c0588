package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/natskv"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// chaosEnv lists seeds to test beside the one that every run tests, with commas.
const chaosEnv = "GENIE_CHAOS_SEEDS"

// chaosDeadline is that of a generation; chaosSlack is how much later its error may
// come on a busy machine.
const (
	chaosDeadline = 40 * time.Second
	chaosSlack    = 20 * time.Second
)

// TestFleetChaos kills processes of a fleet with SIGKILL, by seed, while sessions
// generate: workers, which others replace, and the directory, which comes back empty.
// No token is wrong, and each session resumes or has a typed error in time.
func TestFleetChaos(t *testing.T) {
	seeds := []uint64{1}
	for text := range strings.SplitSeq(os.Getenv(chaosEnv), ",") {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			seeds = append(seeds, n)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { chaos(t, seed) })
	}
}

func chaos(t *testing.T, seed uint64) {
	directory, url := startDirectory(t, "nats://127.0.0.1:0")
	var workers []*child
	for range 3 {
		workers = append(workers, startMember(t, url))
	}
	f := followed(t, url)
	has(t, f, 3)
	client, err := genie.Open(t.Context(), url, genie.WithReconnect(20*time.Second), genie.WithHeartbeat(2*time.Second),
		genie.WithDirectory(func(url string) (fleet.Directory, error) { return natskv.Open(url) }))
	require.NoError(t, err)
	defer client.Close()
	m, err := gpt2.Load(t.Context(), basic, gpt2.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()

	c := &chaosClients{t: t, client: client, m: m, want: map[int][]int{}}
	c.expect(4)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() { c.generate(i, stop) })
	}
	draw := rand.New(rand.NewPCG(seed, 0))
	for kills := 0; kills < 6 || c.rebuilt.Load() == 0 && kills < 60; kills++ { // some find no session under way
		before := c.done.Load()
		require.Eventually(t, func() bool { return c.done.Load() >= before+2 || t.Failed() }, 2*chaosDeadline, 5*time.Millisecond, "sessions stand still")
		if kills == 3 || draw.IntN(4) == 0 {
			_ = directory.Process.Kill()
			_ = directory.Wait()
			directory, _ = startDirectory(t, url)
			continue
		}
		i := draw.IntN(len(workers))
		_ = workers[i].cmd.Process.Kill()
		_ = workers[i].cmd.Wait()
		workers[i] = startMember(t, url)
	}
	close(stop)
	all.Wait()
	t.Logf("%d generations, %d rebuilt sessions, %d typed errors", c.done.Load(), c.rebuilt.Load(), c.failed.Load())
	require.Positive(t, c.rebuilt.Load(), "nothing was lost: the test tests nothing")
	has(t, f, 3)
}

// chaosClients are the sessions of the test.
type chaosClients struct {
	t      *testing.T
	client *genie.Client
	m      *gpt2.Model
	want   map[int][]int // by prompt

	done, rebuilt, failed atomic.Int64
}

func (c *chaosClients) request(i int) genie.GenerateRequest {
	return genie.GenerateRequest{Prompts: [][]int{{1 + i, 2, 3}}, MaxNew: 110, IgnoreEOS: true}
}

// expect computes in this process what each session has to generate.
func (c *chaosClients) expect(n int) {
	local, err := genie.Open(c.t.Context(), "local:")
	require.NoError(c.t, err)
	defer local.Close()
	s, err := local.NewSession(c.t.Context())
	require.NoError(c.t, err)
	for i := range n {
		out, err := genie.Generate(c.t.Context(), s, c.m.LM, c.request(i))
		require.NoError(c.t, err)
		c.want[i] = out.Tokens[0]
	}
}

// generate generates in one session after the other, a few times each, until stop.
func (c *chaosClients) generate(i int, stop <-chan struct{}) {
	for {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), chaosDeadline)
		s, err := c.client.NewSession(ctx)
		c.check(ctx, err)
		for n := 0; err == nil && n < 3; n++ {
			select {
			case <-stop:
				_ = s.Close()
				cancel()
				return
			default:
			}
			err = c.once(s, i)
		}
		if s != nil {
			_ = s.Close()
		}
		cancel()
		select {
		case <-stop:
			return
		default:
		}
		if c.t.Failed() {
			return
		}
	}
}

func (c *chaosClients) once(s *genie.Session, i int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), chaosDeadline)
	defer cancel()
	r := c.request(i)
	var seen []int
	r.OnToken = func(_, token int) error {
		if len(seen) >= len(c.want[i]) || c.want[i][len(seen)] != token {
			c.t.Errorf("session %d: token %d is %d: %v, want %v", i, len(seen), token, seen, c.want[i])
		}
		seen = append(seen, token)
		<-time.After(2 * time.Millisecond) // a reader, who makes kills find it under way
		return nil
	}
	out, err := genie.Generate(ctx, s, c.m.LM, r)
	if err == nil {
		c.done.Add(1)
		c.rebuilt.Add(int64(out.Rebuilt))
		if !slices.Equal(out.Tokens[0], c.want[i]) {
			c.t.Errorf("session %d: %v, want %v", i, out.Tokens[0], c.want[i])
		}
	}
	c.check(ctx, err)
	return err
}

// check holds that an error is typed, and came in time.
func (c *chaosClients) check(ctx context.Context, err error) {
	if err == nil {
		return
	}
	c.failed.Add(1)
	if end, _ := ctx.Deadline(); time.Since(end) > chaosSlack {
		c.t.Errorf("%v after its deadline: %v", time.Since(end), err)
	}
	for _, typed := range []error{
		genie.ErrUnreachable, genie.ErrSessionLost, genie.ErrClosed, genie.ErrOverloaded, genie.ErrNoWorker, genie.ErrLate, context.DeadlineExceeded,
	} {
		if errors.Is(err, typed) {
			return
		}
	}
	c.t.Errorf("an error without a type: %v", err)
}
