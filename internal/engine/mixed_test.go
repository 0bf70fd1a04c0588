package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/device/mixed"
	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// helped is a device that lacks operators, combined with the CPU.
func helped(open device.Open, lacks ...string) device.Open {
	return mixed.Open(mixed.Options{Primary: devicetest.Lacking(open, lacks...), CPU: cpu.Open})
}

// sameRuns runs a plan on two engines, which must give the same bits or fail
// alike, and leave nothing behind.
func sameRuns(t *testing.T, a, b *engine.Engine, p *plan.Plan, weights transport.Weights, d *planmaker.Draws) {
	t.Helper()
	one, ok := prepareFuzzed(t, a, p, weights)
	two, again := prepareFuzzed(t, b, p, weights)
	require.Equal(t, ok, again, "compiled by one of two")
	if !ok {
		return
	}
	past := map[string]int{}
	for range 4 { // the later ones in used memory, with states that have grown
		call := makeCall(p, d, past)
		left, leftErr := one.run(t, call)
		right, rightErr := two.run(t, call)
		require.Equal(t, leftErr == nil, rightErr == nil, "%v, mixed: %v", leftErr, rightErr)
		if leftErr != nil {
			require.Equal(t, transport.Code(leftErr), transport.Code(rightErr), "%v, mixed: %v", leftErr, rightErr)
			continue
		}
		for i := range left {
			require.Equal(t, left[i].Shape, right[i].Shape)
			require.Equal(t, bitsOf(left[i]), bitsOf(right[i]), "output %d: %v of %v", i, p.Outputs[i], p.Values[p.Outputs[i].Value])
		}
		call.advance(past)
	}
	require.Zero(t, one.close(t))
	require.Zero(t, two.close(t))
}

// operators lists those of a plan.
func operators(p *plan.Plan) (names []string) {
	for _, s := range p.Steps {
		if !slices.Contains(names, s.Op) {
			names = append(names, s.Op)
		}
	}
	return names
}

// TestMixedSameBits runs random plans on a device that lacks some of their
// operators and on the CPU alone.
func TestMixedSameBits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		open  device.Open
		plain bool
		seeds int
	}{
		{"kernels", cpu.Open, false, 600},
		{"opaque", opaque.Open, true, 300},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(7, 11))
			ran, elsewhere := 0, 0
			for seed := range tc.seeds {
				data := make([]byte, 40+r.IntN(200))
				for i := range data {
					data[i] = byte(r.Uint32())
				}
				random := planmaker.Make
				if seed%2 == 0 {
					random = planmaker.MakeFitting
				}
				p, weights, draws := random(data)
				encoded, err := p.Encode()
				if err != nil {
					continue
				}
				p, err = plan.Decode(encoded)
				require.NoError(t, err)
				names := operators(p)
				r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
				lacks := names[:r.IntN(len(names)+1)]
				reference, err := newEngine(fuzzOptions(), tc.plain)
				require.NoError(t, err)
				o := fuzzOptions()
				o.Device = helped(tc.open, lacks...)
				e, err := newEngine(o, tc.plain)
				require.NoError(t, err)
				sameRuns(t, reference, e, p, weights, draws)
				ran++
				if prog, err := e.Compile(p); err == nil && slices.ContainsFunc(prog.Labels, func(l string) bool { return strings.HasSuffix(l, " on cpu") }) {
					elsewhere++
				}
				require.NoError(t, e.Close())
				require.NoError(t, reference.Close())
				require.Zero(t, e.Memory().Used(), "lacking %v", lacks)
			}
			require.Greater(t, ran, tc.seeds/3)
			require.Greater(t, elsewhere, tc.seeds/8)
		})
	}
}

func newEngine(o engine.Options, plain bool) (*engine.Engine, error) {
	if plain {
		return engine.NewReference(o, true)
	}
	return engine.New(o)
}

// TestMixedPages compares a cache that grows over many pages, for each operator
// of its attention that the device may lack.
func TestMixedPages(t *testing.T) {
	reference, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2})
	require.NoError(t, err)
	defer reference.Close()
	for _, lacks := range [][]string{{"softmax"}, {"append"}, {"append", "softmax"}, {"matmul"}, {"append", "matmul"}} {
		for _, turned := range []bool{false, true} {
			t.Run(fmt.Sprint(strings.Join(lacks, "+"), "/turned=", turned), func(t *testing.T) {
				e, err := engine.New(engine.Options{Device: helped(cpu.Open, lacks...), Threads: 2})
				require.NoError(t, err)
				a, b := newCached(t, reference, turned, false), newCached(t, e, turned, false)
				one, two := reference.NewSession(), e.NewSession()
				defer one.Close()
				for past, n := 0, 1; past < 400; past, n = past+n, 1+(past*7)%50 {
					require.Equal(t, a.step(t, one, past, n, past), b.step(t, two, past, n, past), "at %d, %d rows", past, n)
				}
				two.Close()
				require.NoError(t, e.Close())
				require.Zero(t, e.Memory().Used())
			})
		}
	}
}

// TestMixedDecode decodes with GPT-2 in several concurrent sessions, some of
// which are cancelled.
func TestMixedDecode(t *testing.T) {
	want := decoded(t, engine.Options{Device: cpu.Open, Threads: 2})
	for _, lacks := range []string{"softmax", "layer_norm", "gelu", "append", "embedding", "sample", "matmul", "softmax,layer_norm,append"} {
		t.Run(lacks, func(t *testing.T) {
			require.Equal(t, want, decoded(t, engine.Options{Device: helped(cpu.Open, strings.Split(lacks, ",")...), Threads: 2}))
		})
	}
}

func decoded(t *testing.T, o engine.Options) (tokens []int) {
	d := newDecoder(t, o)
	token := 17
	for past := range 90 {
		var err error
		token, _, _, err = d.step(context.Background(), d.session, d.inputs, token, past)
		require.NoError(t, err)
		tokens = append(tokens, token)
	}
	return tokens
}

// TestMixedRefused verifies that a plan is refused by name if nothing replaces
// the operator.
func TestMixedRefused(t *testing.T) {
	e, err := engine.New(engine.Options{Device: devicetest.Lacking(cpu.Open, "softmax")})
	require.NoError(t, err)
	defer e.Close()
	p := softmaxPlan()
	_, err = e.Compile(p)
	require.ErrorIs(t, err, transport.ErrInvalidPlan)
	require.ErrorContains(t, err, "step 1 (softmax)")
	require.ErrorContains(t, err, "cpu")
	require.Zero(t, e.Memory().Used())
}

// TestMixedTells verifies that a plan's operators on the CPU are logged, once,
// and named in profiles.
func TestMixedTells(t *testing.T) {
	var log bytes.Buffer
	e, err := engine.New(engine.Options{Profile: true, Device: mixed.Open(mixed.Options{
		Primary: devicetest.Lacking(cpu.Open, "softmax"), CPU: cpu.Open, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})})
	require.NoError(t, err)
	defer e.Close()
	f, ok := prepareFuzzed(t, e, softmaxPlan(), nil)
	require.True(t, ok)
	for range 2 {
		_, err = e.Compile(softmaxPlan())
		require.NoError(t, err)
		runSoftmax(t, f, 4)
	}
	f.s.Close()
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), `operators="softmax x1"`)
	require.Contains(t, log.String(), `plan=softmax`)
	kernels := e.Stats().Kernels
	require.Contains(t, kernels, "softmax on cpu")
	require.Contains(t, kernels, "exp")
	require.Positive(t, kernels["exp"])
	require.Positive(t, kernels["softmax on cpu"])
}

// copied counts the bytes that move between a device and the CPU.
type copied struct {
	device.Device
	n *atomic.Int64
}

func (c copied) Download(dst []byte, b device.Buffer, off int, h halt.Func) error {
	c.n.Add(int64(len(dst)))
	return c.Device.Download(dst, b, off, h)
}

func (c copied) Upload(b device.Buffer, off int, src []byte, h halt.Func) error {
	c.n.Add(int64(len(src)))
	return c.Device.Upload(b, off, src, h)
}

// TestMixedCopiesLittle verifies that a cache which only the CPU uses stays
// there, and that of a cache to which the device appends only the written pages
// move.
func TestMixedCopiesLittle(t *testing.T) {
	for _, tc := range []struct {
		lacks []string
		pages int64
	}{
		{[]string{"append", "attention"}, 0},
		{[]string{"attention"}, 2 * 2}, // of keys and values, at most two
	} {
		t.Run(strings.Join(tc.lacks, "+"), func(t *testing.T) {
			var n atomic.Int64
			e, err := engine.New(engine.Options{Device: helped(func(o device.Options) (device.Device, error) {
				d, err := cpu.Open(o)
				return copied{d, &n}, err
			}, tc.lacks...)})
			require.NoError(t, err)
			defer e.Close()
			c := newCached(t, e, false, false)
			s := e.NewSession()
			defer s.Close()
			past := 0
			for ; past < 640; past += 64 {
				c.step(t, s, past, 64, past)
			}
			const batch, rows = 2, 1
			page := int64(4 * batch * cachedHeads * kernels.KeyBlock * cachedDim)
			few := int64(8 * 4 * batch * cachedHeads * rows * cachedDim) // what a step reads and writes
			for ; past < 660; past++ {
				before := n.Load()
				c.step(t, s, past, rows, past)
				require.LessOrEqual(t, n.Load()-before, tc.pages*page+few, "at %d", past)
			}
		})
	}
}
