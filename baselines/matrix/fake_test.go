package matrix

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/genie-sdk/go/baselines/results"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// diary records the events of a test's cases, in order.
type diary struct {
	events []string
	open   map[string]bool
	most   int // open at once
}

func (d *diary) write(event, name string) { d.events = append(d.events, event+" "+name) }

// fake is a case that reports the measurements it is given.
type fake struct {
	name, short string
	diary       *diary
	measure     func(run int) (map[string]float64, error)
	openErr     error
	closeErr    error
	takes       time.Duration
	memory      int64
	versions    map[string]string
	during      func(run int) // called during a run

	runs int
}

func (f *fake) Name() string { return f.name }

func (f *fake) Open(context.Context) error {
	f.diary.write("open", f.short)
	if f.openErr != nil {
		return f.openErr
	}
	if f.diary.open[f.short] {
		return errors.New("opened twice")
	}
	f.diary.open[f.short] = true
	f.diary.most = max(f.diary.most, len(f.diary.open))
	return nil
}

func (f *fake) Run(ctx context.Context) (map[string]float64, int, error) {
	f.diary.write("run", f.short)
	if !f.diary.open[f.short] {
		return nil, 0, errors.New("not open")
	}
	f.runs++
	if f.during != nil {
		f.during(f.runs)
	}
	if f.takes > 0 {
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-time.After(f.takes):
		}
	}
	values, err := f.measure(f.runs)
	return values, 3, err
}

func (f *fake) Close() error {
	f.diary.write("close", f.short)
	delete(f.diary.open, f.short)
	return f.closeErr
}

func (f *fake) MemoryBytes() int64 { return f.memory }

func (f *fake) Versions() map[string]string { return f.versions }

// fakes are cases of one group, named by letters, that measure 1 tok/s and
// more.
func fakes(d *diary, shorts ...string) (cases []*fake) {
	d.open = map[string]bool{}
	for i, s := range shorts {
		cases = append(cases, &fake{
			name: "BenchmarkX_" + s + "/workload=x/baseline=" + s + "/model=m/net=loopback", short: s, diary: d,
			measure: func(run int) (map[string]float64, error) {
				return map[string]float64{"tok/s": float64(10*i + run)}, nil
			},
		})
	}
	return cases
}

func group(cases []*fake) []Case {
	var g []Case
	for _, c := range cases {
		g = append(g, c)
	}
	return g
}

// fleet is a synthetic matrix of the suite's shape: two workloads, two links,
// ablations, micro cases with predictions. slower scales the times of full.
func fleet(seed uint64, slower float64) [][]Case {
	d := &diary{open: map[string]bool{}}
	var groups [][]Case
	for _, net := range []string{"loopback", "lan-1g-500us"} {
		groups = append(groups, decodeFleet(d, seed, slower, net))
	}
	return append(groups, visionFleet(d, seed), microFleet(d, seed))
}

// noise generates figures that vary by some percent, the same ones for one name
// and seed.
func noise(name string, seed uint64) func(v float64) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), seed))
	return func(v float64) float64 {
		return float64(int64(v*(1+0.015*r.NormFloat64())*1e4)) / 1e4
	}
}

type profile struct {
	baseline, ablation string
	tokens             float64 // per second
	wire               map[string]float64
	delays             float64 // round trips per token
}

func decodeProfiles() []profile {
	small := map[string]float64{"token": 18, "plan": 40, "control": 72}
	kv := map[string]float64{"kv": 9437184, "logits": 201028, "token": 18, "plan": 40, "control": 72}
	return []profile{
		{"local-pytorch", "", 55, nil, 0},
		{"capture-only", "", 63, nil, 0},
		{"local-remote", "", 21, kv, 1},
		{"no-semantics", "", 2.4, map[string]float64{"weights": 497759232, "kv": 9437184, "logits": 201028, "control": 900}, 1},
		{"full", "weights", 20, kv, 1},
		{"full", "weights+plan", 24, map[string]float64{"kv": 4718592, "logits": 201028, "plan": 40, "control": 72}, 1},
		{"full", "weights+plan+kv", 57, map[string]float64{"logits": 201028, "plan": 40, "control": 72}, 1},
		{"full", "weights+plan+kv+sampling", 60, small, 1},
		{"full", "", 60, small, 1},
		{"full-rpc", "", 58, map[string]float64{"token": 30, "plan": 40, "control": 260}, 1},
		{"pytorch-rpc", "", 41, nil, 1},
		{"ray", "", 0, nil, 0},
	}
}

func decodeFleet(d *diary, seed uint64, slower float64, net string) (g []Case) {
	delay := map[string]float64{"loopback": 2e-5, "lan-1g-500us": 5e-4}[net]
	rate := map[string]float64{"loopback": 3e9, "lan-1g-500us": 1.17e8}[net]
	for _, batch := range []int{1, 4} {
		for _, p := range decodeProfiles() {
			if p.ablation != "" && (batch > 1 || net != "loopback") {
				continue
			}
			base := p.baseline
			if p.ablation != "" {
				base += "/ablation=" + p.ablation
			}
			name := fmt.Sprintf("BenchmarkLLMDecode_X/workload=llm-decode/baseline=%s/model=gpt2/batch=%d/net=%s", base, batch, net)
			vary := noise(name, seed)
			f := &fake{name: name, short: name, diary: d}
			total := 0.0
			for _, b := range p.wire {
				total += b
			}
			step := 1/p.tokens + p.delays*delay + total/rate
			if p.baseline == "full" && p.ablation == "" {
				step *= slower
			}
			f.measure = func(int) (map[string]float64, error) {
				step := step
				v := map[string]float64{
					"ns/op": vary(51e9 * step), "tok/s": vary(float64(batch) / step), "itl-p50-ns": vary(1e9 * step),
					"itl-p99-ns": vary(1.2e9 * step), "ttft-p50-ns": vary(8e9 * step), "rtts/tok": p.delays,
					"client-peak-B": vary(9e8), "max-abs-err": 0,
				}
				if total > 0 {
					v["wire-B/tok"] = total
				}
				for cause, b := range p.wire {
					v[cause+"-wire-B/tok"] = b
				}
				return v, nil
			}
			if p.baseline == "ray" {
				f.openErr = fmt.Errorf("%w: no Python environment: run genie bench setup", ErrUnavailable)
			}
			if p.baseline == "pytorch-rpc" {
				f.versions = map[string]string{"torch": "2.15.0", "transformers": "5.23.0"}
			}
			g = append(g, f)
		}
	}
	return g
}

func visionFleet(d *diary, seed uint64) (g []Case) {
	images := map[string]float64{"local-pytorch": 21, "capture-only": 24, "full": 23.4, "no-semantics": 9.1, "pytorch-rpc": 19}
	for _, baseline := range slices.Sorted(maps.Keys(images)) {
		name := "BenchmarkVisionCNN_X/workload=vision-cnn/baseline=" + baseline + "/model=resnet50/batch=8/net=loopback"
		vary := noise(name, seed)
		g = append(g, &fake{name: name, short: name, diary: d, measure: func(int) (map[string]float64, error) {
			return map[string]float64{"images/s": vary(images[baseline]), "ns/op": vary(8e9 / images[baseline])}, nil
		}})
	}
	return g
}

func microFleet(d *diary, seed uint64) (g []Case) {
	add := func(op, baseline string, measured, predicted float64) {
		name := "BenchmarkMicro_X/workload=micro/baseline=" + baseline + "/" + op + "/net=loopback"
		vary := noise(name, seed)
		g = append(g, &fake{name: name, short: name, diary: d, measure: func(int) (map[string]float64, error) {
			v := map[string]float64{"ns/op": vary(measured)}
			if predicted > 0 {
				v["measured-ns"], v["predicted-ns"] = v["ns/op"], vary(predicted)
			}
			return v, nil
		}})
	}
	ops := map[string]float64{"matmul": 1.3e7, "conv": 2.3e6, "attention": 6e6, "linear": 9e4, "batchnorm": 6e5}
	for i, op := range slices.Sorted(maps.Keys(ops)) {
		add("op="+op, "local-pytorch", 1.1*ops[op], 0)
		add("op="+op, "capture-only", ops[op], ops[op]*(0.85+0.08*float64(i)))
		add("op="+op, "full", ops[op]+9e4, 0)
	}
	for _, op := range []string{"upload", "download", "echo"} {
		for _, n := range []float64{1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 28} {
			t := 21e3 + n/2.9 + map[string]float64{"echo": n / 3.1}[op]
			add(fmt.Sprintf("op=%s/bytes=%.0f", op, n), "full", t, t*(0.9+2e4/n/2))
		}
	}
	return g
}

func fleetHeader(commit, scale string) Header {
	return Header{
		Commit: commit, Date: "2026-11-24T12:00:00Z", Go: "go1.26.8", OS: "linux", Arch: "amd64",
		CPU: "Example CPU", Cores: 2, GOMAXPROCS: 2, Scale: scale, Units: results.DefaultUnits(),
	}
}
