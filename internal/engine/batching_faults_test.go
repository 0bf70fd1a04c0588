package engine_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
)

// fading is cancelled when it has been queried a number of times.
type fading struct {
	context.Context
	cancel context.CancelFunc
	mu     sync.Mutex
	left   int
}

func newFading(asked int) *fading {
	ctx, cancel := context.WithCancel(context.Background())
	return &fading{Context: ctx, cancel: cancel, left: asked}
}

func (f *fading) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left < 0 {
		f.cancel()
	}
	return f.Context.Err()
}

// trio is three voices that have generated some tokens, and the same ones
// alone.
func trio(t *testing.T) (p *speaking, voices, soloists []*voice) {
	t.Helper()
	p = newSpeaking(t, "basic", engine.Options{Device: cpu.Open, Threads: 2})
	for i := range 3 {
		voices, soloists = append(voices, p.newVoice(i, 1)), append(soloists, p.newVoice(i, 1))
	}
	for i := range 3 {
		for range 2 + i {
			require.NoError(t, voices[i].say(context.Background()))
			require.NoError(t, soloists[i].say(context.Background()))
		}
	}
	return p, voices, soloists
}

// requireOthers verifies that all voices except i had their turn, and that all
// of them continue undisturbed.
func requireOthers(t *testing.T, p *speaking, voices, soloists []*voice, i int) {
	t.Helper()
	for k := range soloists {
		if k != i {
			require.NoError(t, soloists[k].say(context.Background()))
		}
	}
	for range 3 {
		for k := range soloists {
			require.Equal(t, soloists[k].past, voices[k].past)
			require.True(t, slices.Equal(soloists[k].said, voices[k].said), "session %d", k)
			require.NoError(t, soloists[k].say(context.Background()))
		}
		require.Equal(t, make([]error, len(voices)), chorus(p, voices, background))
	}
}

// TestBatchCancelled cancels each call of a batch at each of its groups. It
// leaves, its session is unchanged, and the others get their results.
func TestBatchCancelled(t *testing.T) {
	p, voices, soloists := trio(t)
	for i := range voices {
		for asked := 0; ; asked++ {
			errs := chorus(p, voices, func(k int) context.Context {
				if k == i {
					return newFading(asked)
				}
				return context.Background()
			})
			gone := errs[i] != nil
			for k, err := range errs {
				if k == i && gone {
					require.ErrorIs(t, err, context.Canceled)
				} else {
					require.NoError(t, err)
				}
			}
			if !gone {
				require.Greater(t, asked, 10)
				for k := range soloists {
					require.NoError(t, soloists[k].say(context.Background()))
				}
				break
			}
			requireOthers(t, p, voices, soloists, i)
			for k := range voices { // there is no room for so many steps
				voices[k].rewind(t)
				soloists[k].rewind(t)
			}
		}
	}
}

// rewind starts again with the last tokens.
func (v *voice) rewind(t *testing.T) {
	t.Helper()
	v.s.Reset()
	v.past, v.said = 0, nil
	require.NoError(t, v.say(context.Background()))
}

// TestBatchCancelledWhileWaiting is an error at once, of that call only.
func TestBatchCancelledWhileWaiting(t *testing.T) {
	p, voices, soloists := trio(t)
	waiting, release := engine.HoldBatches(p.prog)
	ctx, cancel := context.WithCancel(context.Background())
	errs := make([]error, 3)
	gone := make(chan struct{})
	var wg sync.WaitGroup
	for i := range voices {
		wg.Go(func() {
			if i == 1 {
				defer close(gone)
				errs[i] = voices[i].say(ctx)
				return
			}
			errs[i] = voices[i].say(context.Background())
		})
	}
	for waiting() < 3 {
		runtime.Gosched()
	}
	cancel()
	<-gone
	require.ErrorIs(t, errs[1], context.Canceled)
	require.Equal(t, 2, waiting())
	release()
	wg.Wait()
	require.NoError(t, errs[0])
	require.NoError(t, errs[2])
	requireOthers(t, p, voices, soloists, 1)
}

// TestBatchFails makes one call of a batch fail: by a token that does not
// exist, and by a panic in each group of the program. It gets the error, and
// the others their results.
func TestBatchFails(t *testing.T) {
	p, voices, soloists := trio(t)
	for i := range voices {
		token := voices[i].tokens[0]
		voices[i].tokens[0] = 1 << 20
		errs := chorus(p, voices, background)
		require.ErrorIs(t, errs[i], transport.ErrIndexRange)
		require.ErrorContains(t, errs[i], "1048576")
		require.ErrorContains(t, errs[i], "embedding")
		voices[i].tokens[0] = token
		for k, err := range errs {
			require.Equal(t, k == i, err != nil, "session %d: %v", k, err)
		}
		requireOthers(t, p, voices, soloists, i)
	}
	joint, groups := engine.Joint(p.prog)
	require.Greater(t, len(joint), 4)
	whole := 0
	for g := range groups {
		for k := range voices {
			voices[k].rewind(t)
			soloists[k].rewind(t)
		}
		mend := engine.BreakGroup(voices[1].s, p.prog, g)
		errs := chorus(p, voices, background)
		mend()
		require.NoError(t, errs[0])
		require.NoError(t, errs[2])
		failed := 1
		if errs[1] == nil {
			require.Contains(t, joint, g) // and nothing follows that product
			failed = -1
			whole++
		} else {
			require.ErrorIs(t, errs[1], transport.ErrInternal)
		}
		requireOthers(t, p, voices, soloists, failed)
	}
	require.Less(t, whole, len(joint))
}

// TestBatchPanics plants a panic in the common work of a batch: its calls
// fail with it, whichever leads, and later batches run.
func TestBatchPanics(t *testing.T) {
	for _, at := range []string{"batch", "settle"} {
		p, voices, _ := trio(t)
		engine.PlantPanic(p.e, at)
		failed := 0
		for _, err := range chorus(p, voices, background) {
			if err != nil {
				require.ErrorIs(t, err, transport.ErrInternal)
				failed++
			}
		}
		require.Positive(t, failed)
		fresh := []*voice{p.newVoice(0, 1), p.newVoice(1, 1), p.newVoice(2, 1)}
		for range 3 {
			require.Equal(t, make([]error, 3), chorus(p, fresh, background))
		}
	}
}
