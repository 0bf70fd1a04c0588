package baselines

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/link"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
	"github.com/genie-sdk/go/workloads/micro"
)

// systemCase runs a workload with another implementation. Its times use the
// other process's clock, from having the inputs to having the outputs.
type systemCase struct {
	spec    Spec
	dir     string
	model   *systems.Model
	form    string     // memory format of images
	link    *link.Link // nil on loopback
	proxies []*link.Proxy
	fed     bool // the program has the inputs
	polls   bool // it is open, and must be paused between runs
	maxAbs  float64
}

func startSystem(ctx context.Context, s Spec) (Case, error) {
	if s.shaped() && !systems.Remote(s.Baseline.Program) {
		return nil, fmt.Errorf("%w: %s computes in one process, nothing crosses a link", ErrUnavailable, s.Baseline.Name)
	}
	c := &systemCase{spec: s}
	err := c.open(ctx)
	if err == nil {
		return c, nil
	}
	if err = errors.Join(err, c.Close()); errors.Is(err, systems.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil, err
}

func (c *systemCase) open(ctx context.Context) error {
	w, program := c.spec.Workload, c.spec.Baseline.Program
	dir, err := w.Dir(ctx, nil)
	if err != nil {
		return err
	}
	if c.dir, err = absolute(dir); err != nil {
		return err
	}
	o := systems.ModelOptions{Workload: w.ID().Name, Dir: c.dir}
	if w.ID().Name == micro.Name {
		o.Dir = ""
	}
	if c.spec.shaped() {
		if o.Proxy, err = c.proxy(ctx); err != nil {
			return err
		}
	}
	// PyTorch in one process gets its best setting, the others all cores; so
	// does PyTorch at the full scale, where trying takes too long.
	if program == systems.PyTorch && w.ID().Scale != workloads.Full {
		c.model, o, err = systems.Fastest(ctx, program, o, func(m *systems.Model) (time.Duration, error) { return c.probe(ctx, m) })
	} else {
		c.model, err = systems.StartModel(ctx, program, o)
	}
	if err != nil {
		return err
	}
	c.form = o.Form
	if err := c.begin(ctx); err != nil {
		return err
	}
	if err := c.prove(ctx); err != nil {
		return err
	}
	c.polls = systems.Polls(program)
	c.rest()
	return nil
}

// rest pauses a program that would poll until the next run; rise lets it
// continue.
func (c *systemCase) rest() {
	if c.polls {
		c.model.Pause()
	}
}

func (c *systemCase) rise() {
	if c.polls {
		c.model.Resume()
	}
}

// proxy puts the link between a program and its worker.
func (c *systemCase) proxy(ctx context.Context) (func(target string) (string, error), error) {
	profile, err := link.Parse(c.spec.Net)
	if err != nil {
		return nil, err
	}
	c.link = link.New(profile, clientSeed)
	return func(target string) (string, error) {
		p, err := c.link.Proxy(context.WithoutCancel(ctx), "127.0.0.1:0", target)
		if err != nil {
			return "", err
		}
		c.proxies = append(c.proxies, p)
		return p.Addr().String(), nil
	}, nil
}

// probe is the time of a run with a setting.
func (c *systemCase) probe(ctx context.Context, m *systems.Model) (time.Duration, error) {
	try := &systemCase{spec: c.spec, dir: c.dir, model: m}
	if err := try.begin(ctx); err != nil {
		return 0, err
	}
	least := time.Duration(0)
	for i := range 3 {
		f, err := try.Run(ctx)
		if err != nil {
			return 0, err
		}
		if i == 0 || f.Total < least {
			least = f.Total
		}
	}
	return least, nil
}

// begin prepares the model and verifies it.
func (c *systemCase) begin(ctx context.Context) error {
	if c.spec.Workload.ID().Name == micro.Name {
		weights, err := weightsIn(c.dir)
		if err != nil {
			return err
		}
		if err := c.model.Hold(ctx, weights); err != nil {
			return err
		}
	}
	if err := c.verify(ctx); err != nil {
		return fmt.Errorf("%s: %w", c.spec.Baseline.Name, err)
	}
	return nil
}

// verify compares everything that has a reference.
func (c *systemCase) verify(ctx context.Context) error {
	w, ok := c.spec.Workload.(*llm.Workload)
	if !ok {
		f, err := c.Run(ctx)
		if err == nil {
			c.maxAbs, err = c.spec.Workload.Verify(f.Output)
		}
		return err
	}
	g, err := c.model.Generate(ctx, systems.Generate{Prompts: w.Prompts, New: w.New(), Force: w.Want, Logits: true})
	if err != nil {
		return err
	}
	c.maxAbs, err = w.Agrees(g.Logits, g.Vocab, c.spec.Baseline.Tolerance)
	return err
}

// prove checks where the work was done.
func (c *systemCase) prove(ctx context.Context) error {
	before, err := c.model.Stats(ctx)
	if err != nil {
		return err
	}
	if _, err := c.Run(ctx); err != nil {
		return err
	}
	after, err := c.model.Stats(ctx)
	if err != nil {
		return err
	}
	remote := systems.Remote(c.spec.Baseline.Program)
	if remote != (len(after.Workers) > 0) {
		return fmt.Errorf("%w: %s has %d workers", errCase, c.spec.Baseline.Name, len(after.Workers))
	}
	for i, wk := range after.Workers {
		if wk.PID == c.model.PID() {
			return fmt.Errorf("%w: %s: the worker is the client's process", errCase, c.spec.Baseline.Name)
		}
		if wk.Served > 0 && i < len(before.Workers) && wk.Served == before.Workers[i].Served {
			return fmt.Errorf("%w: %s: the worker served nothing", errCase, c.spec.Baseline.Name)
		}
	}
	return nil
}

// Run implements [Case].
func (c *systemCase) Run(ctx context.Context) (*Figures, error) {
	c.rise()
	defer c.rest()
	if c.polls { // a paused program has lost its caches, so its first run is not measured
		if _, err := c.once(ctx); err != nil {
			return nil, err
		}
	}
	return c.once(ctx)
}

// once is one run of an awake case.
func (c *systemCase) once(ctx context.Context) (*Figures, error) {
	f := &Figures{Prompt: promptTokens(c.spec.Workload), Counted: c.link != nil}
	before := c.moved()
	var err error
	if w, ok := c.spec.Workload.(*llm.Workload); ok {
		err = c.generate(ctx, w, f)
	} else {
		err = c.compute(ctx, f)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.spec.Baseline.Name, err)
	}
	f.RestMoved = c.moved().Sub(before)
	return f, nil
}

func (c *systemCase) generate(ctx context.Context, w *llm.Workload, f *Figures) error {
	g, err := c.model.Generate(ctx, systems.Generate{Prompts: w.Prompts, New: w.New()})
	if err != nil {
		return err
	}
	f.Tokens, f.First, f.Steps = g.Tokens, g.TTFT, g.Steps
	f.Total = g.TTFT
	for _, d := range g.Steps {
		f.Total += d
	}
	f.Items = len(g.Steps) * len(w.Prompts)
	return w.Follows(g.Tokens, c.spec.Baseline.Tolerance)
}

func (c *systemCase) compute(ctx context.Context, f *Figures) error {
	w := c.spec.Workload
	var inputs map[string]systems.Tensor
	if !c.fed {
		inputs = systemTensors(w.Inputs())
	}
	args := systems.RunArgs{}
	if id := w.ID(); id.Name == micro.Name {
		args.Op = id.Model
	}
	out, ran, err := c.model.Run(ctx, inputs, args)
	if err != nil {
		return err
	}
	c.fed = true
	f.Total, f.First = ran.Times[0], ran.Times[0]
	f.Tensors = map[string][]float32{}
	for name, t := range out {
		f.Tensors[name] = t.Float32s()
	}
	if f.Items = 1; w.ID().Name != micro.Name {
		f.Items = w.Inputs()["pixels"].Shape[0]
	}
	_, err = w.Verify(f.Output)
	return err
}

// moved is what has crossed the link.
func (c *systemCase) moved() (s transport.Snapshot) {
	if c.link == nil {
		return s
	}
	up, down := c.link.Counters()
	s.SocketSent, s.SocketReceived = up.Delivered, down.Delivered
	return s
}

// Ops implements [Case].
func (c *systemCase) Ops(context.Context) (int64, error) { return 0, nil }

// Facts implements [Case].
func (c *systemCase) Facts(ctx context.Context) Facts {
	f := Facts{MaxAbsErr: c.maxAbs, PeakRSS: map[string]int64{}, Versions: c.model.Versions()}
	f.Settings = map[string]string{"threads": strconv.Itoa(c.model.Threads)}
	if c.form != "" {
		f.Settings["form"] = c.form
	}
	if c.model.Transports != "" {
		f.Settings["transport"] = c.model.Transports
	}
	c.rise()
	defer c.rest()
	st, err := c.model.Stats(ctx)
	if err != nil {
		return f
	}
	for _, p := range st.Processes {
		f.PeakRSS[p.Role] += p.PeakRSSBytes
	}
	return f
}

// Close implements [Case].
func (c *systemCase) Close() error {
	var errs []error
	if c.model != nil {
		errs = append(errs, c.model.Close())
	}
	for _, p := range c.proxies {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
