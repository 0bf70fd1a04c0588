package micro

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads"
)

// pool holds the inputs of cases. The large ones, of uploads and echoes, are
// prefixes of one sequence and share its memory.
type pool struct {
	mu   sync.Mutex
	long transport.Tensor
}

func (p *pool) tensor(l leaf) transport.Tensor {
	if l.kind != integer {
		return l.tensor()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := l.elements()
	if p.long.Elements() < n || p.long.Data == nil {
		p.long = leaf{l.name, l.salt, l.kind, []int{n}}.tensor()
	}
	return transport.Tensor{DType: p.long.DType, Shape: l.shape, Data: p.long.Data[: 4*n : 4*n]}
}

func (p *pool) inputs(c Case) map[string]transport.Tensor {
	in := map[string]transport.Tensor{}
	for _, l := range c.inputs() {
		in[l.name] = p.tensor(l)
	}
	return in
}

// program is a captured case.
type program struct {
	c     Case
	graph *lazy.Graph
	in    map[string]transport.Tensor
	files *checkpoint.Model // nil when the weights are in memory
}

// inMemory captures a case with weights in memory.
func (c Case) inMemory() (*lazy.Graph, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	g := lazy.NewGraph(c.String())
	return g, c.capture(g, func(l leaf) (*lazy.Tensor, error) {
		t := l.tensor()
		return g.AddWeight(transport.Weight{
			Name: l.name, Storage: t.DType, Shape: t.Shape, Data: t.Data, Hash: transport.HashWeight(t.DType, t.Shape, t.Data),
		}), nil
	})
}

// Graph implements [workloads.Program].
func (p *program) Graph() *lazy.Graph { return p.graph }

// Close implements [workloads.Program].
func (p *program) Close() error {
	if p.files == nil {
		return nil
	}
	return p.files.Close()
}

// Open implements [workloads.Program].
func (p *program) Open(ctx context.Context, client *genie.Client) (workloads.Runner, error) {
	return p.open(ctx, client)
}

func (p *program) open(ctx context.Context, client *genie.Client) (*runner, error) {
	s, err := client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	r := &runner{session: s, feed: genie.Feed{}, out: p.graph.Outputs()[0].Tensor}
	for name, t := range p.in {
		r.feed[name] = genie.FromTensor(t)
	}
	srg, err := client.Analyze(p.graph)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	profile, err := srg.ProfileOf(nil)
	if err == nil {
		err = s.Prepare(ctx, profile, r.out)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return r, nil
}

// runner runs a case in a session.
type runner struct {
	session *genie.Session
	feed    genie.Feed
	out     *lazy.Tensor
}

// Close implements [workloads.Runner].
func (r *runner) Close() error { return r.session.Close() }

// Run implements [workloads.Runner]: one run, one item.
func (r *runner) Run(ctx context.Context, o workloads.RunOptions) (*workloads.Run, error) {
	begin := time.Now()
	values, err := r.session.Run(ctx, r.feed, r.out)
	if err != nil {
		return nil, err
	}
	t, err := values[0].Tensor(ctx)
	if err != nil {
		return nil, err
	}
	first := time.Since(begin)
	if o.OnFirst != nil {
		o.OnFirst()
	}
	return &workloads.Run{
		Output: workloads.Output{Tensors: map[string][]float32{output: floats(t.Data)}},
		Items:  1, First: first, Executor: []time.Duration{r.session.ExecutorTime()},
	}, nil
}

// floats views little-endian float32 values without a copy where the machine
// stores them in that form: copying 256 MiB takes as long as transferring them.
func floats(data []byte) []float32 {
	n := len(data) / 4
	if n == 0 {
		return nil
	}
	p := unsafe.Pointer(&data[0])
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 && uintptr(p)%unsafe.Alignof(float32(0)) == 0 {
		return unsafe.Slice((*float32)(p), n)
	}
	out := slices.Grow([]float32(nil), n)
	for i := range n {
		out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
	}
	return out
}
