package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// errEnough ends a generation early.
var errEnough = errors.New("enough")

// text is what one of several clients writes.
type text struct {
	request genie.GenerateRequest
	stop    int // it gives up after so many tokens; 0 for never
}

// texts have different lengths and modes, so that clients come and go: two give
// up, one has several sequences.
func texts() []text {
	var all []text
	for i := range 8 {
		prompt := []int{1 + i, 7, 3 * i, 2, 9, 4}[:2+i%4]
		r := genie.GenerateRequest{Prompts: [][]int{prompt}, MaxNew: 40 + 5*i, IgnoreEOS: true}
		if i%2 == 1 {
			r.Temperature, r.TopK, r.Seed = 0.8, 5*(i-1), int64(i)
		}
		t := text{request: r}
		switch i {
		case 3, 4:
			t.stop = 10 * i
		case 5:
			t.request.Prompts = slices.Concat(r.Prompts, [][]int{{5, 6, 7, 8}, {9}})
		}
		all = append(all, t)
	}
	return all
}

// written is the tokens, and in steps from here the logits, bit by bit.
type written struct {
	tokens [][]int
	logits []byte
}

// write writes a text twice in one session; the second is what counts, so that
// what giving up leaves behind would show.
func (x text) write(ctx context.Context, c *genie.Client, lm *genie.CausalLM, logits bool) (w written, err error) {
	s, err := c.NewSession(ctx)
	if err != nil {
		return w, err
	}
	defer s.Close()
	first := x.request
	n := 0
	first.OnToken = func(int, int) error {
		if n++; n == x.stop {
			return errEnough
		}
		return nil
	}
	if _, err := genie.Generate(ctx, s, lm, first); err != nil && !errors.Is(err, errEnough) || (err != nil) != (x.stop > 0) {
		return w, fmt.Errorf("the first: %w", err)
	}
	if logits {
		x.request.OnLogits = func(_ int, l transport.Tensor) error {
			w.logits = append(w.logits, l.Data...)
			return nil
		}
	}
	g, err := genie.Generate(ctx, s, lm, x.request)
	if err != nil {
		return w, err
	}
	w.tokens = g.Tokens
	return w, nil
}

// TestWorkerBatches has eight clients of one worker process write at the same
// time, in loops on the worker and in steps of their own, and verifies that
// each gets what it gets alone and without batches. The worker's counters say
// that runs were joined, or that none was where --max-batch is 1.
func TestWorkerBatches(t *testing.T) {
	ctx := context.Background()
	m, err := gpt2.Load(ctx, basic, gpt2.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	steps := semantic.Full().(semantic.Features)
	steps.Label, steps.Loop = "steps", false
	single, err := local.Open(local.WithMaxBatch(1))
	require.NoError(t, err)
	defer single.Close()
	all := texts()
	want := map[bool][]written{}
	for _, logits := range []bool{false, true} {
		for _, x := range all {
			w, err := x.write(ctx, genie.NewClient(single, genie.WithPolicy(steps)), m.LM, logits)
			require.NoError(t, err)
			want[logits] = append(want[logits], w)
		}
	}
	for _, batch := range []string{"16", "3", "1"} {
		worker := startChild(t, both(), "--max-batch", batch)
		for _, url := range worker.urls {
			for _, p := range []semantic.Policy{semantic.Full(), steps} {
				t.Run(fmt.Sprintf("%.4s/max-batch=%s/policy=%s", url, batch, p.Name()), func(t *testing.T) {
					var clients []*genie.Client
					for range all {
						c, err := genie.Open(ctx, url, genie.WithPolicy(p))
						require.NoError(t, err)
						defer c.Close()
						clients = append(clients, c)
					}
					logits := p.Name() == steps.Name()
					joined := func() int64 {
						st, err := clients[0].Stats(ctx)
						require.NoError(t, err)
						return st.BatchedRuns
					}
					before := joined()
					for try := 0; try == 0 || batch != "1" && joined() == before; try++ {
						require.Less(t, try, 20, "no run was joined with another")
						requireWritten(t, want[logits], all, clients, m.LM, logits)
					}
					if batch == "1" {
						require.Zero(t, joined())
					}
				})
			}
		}
	}
}

// requireWritten has every client write its text, all at once.
func requireWritten(t *testing.T, want []written, all []text, clients []*genie.Client, lm *genie.CausalLM, logits bool) {
	t.Helper()
	got, errs := make([]written, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	for i, x := range all {
		wg.Go(func() { got[i], errs[i] = x.write(context.Background(), clients[i], lm, logits) })
	}
	wg.Wait()
	for i := range all {
		require.NoError(t, errs[i])
		require.Equal(t, want[i].tokens, got[i].tokens, "client %d", i)
		require.True(t, slices.Equal(want[i].logits, got[i].logits), "client %d", i)
		require.Equal(t, logits, len(got[i].logits) > 0)
	}
}
