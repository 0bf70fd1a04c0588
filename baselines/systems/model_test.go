package systems

import (
	"encoding/json"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// realSystems skips a test unless the programs are requested and can be
// started.
func realSystems(t *testing.T, program string) {
	t.Helper()
	if !Tested() {
		t.Skipf("%s is not set; genie bench setup, then %s=1 go test ./baselines/systems", EnvTest, EnvTest)
	}
	if err := Available(program); err != nil {
		t.Skip(err)
	}
}

func testdata(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{"..", "..", "testdata"}, parts...)...))
	require.NoError(t, err)
	return path
}

func readGolden(t *testing.T, v any, parts ...string) {
	t.Helper()
	text, err := os.ReadFile(testdata(t, parts...))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, v))
}

// waves are the pixels of testdata/scripts/make_resnet_goldens.py and
// make_clip_goldens.py.
func waves(shape ...int) Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(0.37*float64(i)) + 0.5*math.Cos(0.011*float64(i)))
	}
	return F32(x, shape...)
}

func i32(rows [][]int) Tensor {
	var data []byte
	for _, r := range rows {
		for _, v := range r {
			data = append(data, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
	}
	return Tensor{DType: "i32", Shape: []int{len(rows), len(rows[0])}, Data: data}
}

// near compares with a golden, as a fraction of its largest value.
func near(t *testing.T, want [][]float64, got Tensor, tolerance float64) {
	t.Helper()
	require.Equal(t, []int{len(want), len(want[0])}, got.Shape)
	top, all := 0.0, slices.Concat(want...)
	for _, v := range all {
		top = max(top, math.Abs(v))
	}
	for i, v := range got.Float32s() {
		require.InDelta(t, all[i], float64(v), tolerance*top)
	}
}

// relay is a proxy that counts the bytes passed.
type relay struct {
	up, down atomic.Int64
	mu       sync.Mutex
	closers  []interface{ Close() error }
	running  sync.WaitGroup
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	r := &relay{}
	t.Cleanup(func() {
		r.mu.Lock()
		for _, c := range r.closers {
			_ = c.Close()
		}
		r.mu.Unlock()
		r.running.Wait()
	})
	return r
}

func (r *relay) proxy(target string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	r.keep(l)
	r.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", target)
			if err != nil {
				_ = c.Close()
				continue
			}
			r.keep(c, s)
			r.running.Go(func() { pump(s, c, &r.up) })
			r.running.Go(func() { pump(c, s, &r.down) })
		}
	})
	return l.Addr().String(), nil
}

func (r *relay) keep(c ...interface{ Close() error }) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closers = append(r.closers, c...)
}

func pump(to, from net.Conn, count *atomic.Int64) {
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		count.Add(int64(n))
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

// startReal starts a program's model for a test with the given ModelOptions.
func startReal(t *testing.T, program string, o ModelOptions) *Model {
	t.Helper()
	o.Threads = 1
	m, err := StartModel(t.Context(), program, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// placed checks that another process, and only that one, answered the calls.
func placed(t *testing.T, program string, m *Model, calls int) {
	t.Helper()
	s, err := m.Stats(t.Context())
	require.NoError(t, err)
	roles := map[string]int{}
	for _, p := range s.Processes {
		roles[p.Role]++
		require.Positive(t, p.PID)
		if p.Role != "other" {
			require.Greater(t, p.PeakRSSBytes, int64(10<<20), p)
		}
	}
	require.Equal(t, 1, roles["client"])
	require.Equal(t, m.PID(), s.Processes[0].PID)
	if !Remote(program) {
		require.Empty(t, s.Workers)
		require.Len(t, s.Processes, 1)
		return
	}
	require.Len(t, s.Workers, 1)
	require.Equal(t, 1, roles["worker"])
	require.NotEqual(t, m.PID(), s.Workers[0].PID)
	require.NotEqual(t, os.Getpid(), s.Workers[0].PID)
	if program != LlamaCPPRPC {
		require.Equal(t, calls, s.Workers[0].Served, "calls that the worker answered")
		require.Equal(t, calls, s.Calls)
	}
}

// modelPrograms are the programs of [StartModel] with the workloads they lack.
var modelPrograms = map[string]string{
	PyTorch: "", PyTorchRPC: "", Ray: "", ONNXRuntime: "micro", LlamaCPPRPC: "vision-cnn multimodal-vqa micro",
}

// TestModels compares every program with the goldens of every workload,
// directly over loopback and, where there is a worker, through a proxy.
func TestModels(t *testing.T) {
	for program, lacks := range modelPrograms {
		for _, link := range []string{"direct", "proxy"} {
			if link == "proxy" && !Remote(program) {
				continue
			}
			t.Run(program+"/"+link, func(t *testing.T) {
				realSystems(t, program)
				for workload, run := range map[string]func(*testing.T, string, ModelOptions) int64{
					"llm-decode": runLLM, "vision-cnn": runVision, "multimodal-vqa": runVQA, "micro": runMicro,
				} {
					if strings.Contains(lacks, workload) {
						continue
					}
					t.Run(workload, func(t *testing.T) {
						o, r := ModelOptions{Workload: workload}, newRelay(t)
						if link == "proxy" {
							o.Proxy = r.proxy
						}
						bytes := run(t, program, o)
						if link == "proxy" {
							require.Greater(t, r.up.Load()+r.down.Load(), bytes, "what travels passes the proxy")
						}
					})
				}
			})
		}
	}
}

// runLLM returns the minimum number of bytes that must be transferred, as the
// others do.
func runLLM(t *testing.T, program string, o ModelOptions) int64 {
	var g struct {
		Prompts [][]int `json:"prompts"`
		Greedy  [][]int `json:"greedy"`
		Top     [][]struct {
			IDs    []int     `json:"ids"`
			Logits []float64 `json:"logits"`
			MaxAbs float64   `json:"max_abs"`
		} `json:"top"`
	}
	readGolden(t, &g, "llm", "tiny-decode.json")
	tolerance := 2e-5
	if program == LlamaCPPRPC {
		tolerance = 5e-3
	}
	o.Dir = testdata(t, "gpt2", "basic")
	m := startReal(t, program, o)
	n := len(g.Greedy[0])
	for _, logits := range []bool{true, false} {
		out, err := m.Generate(t.Context(), Generate{Prompts: g.Prompts, New: n, Logits: logits, Force: g.Greedy})
		require.NoError(t, err)
		require.Equal(t, g.Greedy, out.Tokens)
		require.Positive(t, out.TTFT)
		require.Len(t, out.Steps, n-1)
		if Remote(program) && program != LlamaCPPRPC {
			require.Equal(t, n, out.Calls, "one call a step")
		}
		for i := 0; logits && i < n; i++ {
			for j, id := range g.Top[0][i].IDs {
				require.InDelta(t, g.Top[0][i].Logits[j], float64(out.Logits[i*out.Vocab+id]), tolerance*g.Top[0][i].MaxAbs)
			}
		}
	}
	if Remote(program) || program == PyTorch {
		placed(t, program, m, 2*n)
	}
	return int64(4 * 128 * n)
}

func runVision(t *testing.T, program string, o ModelOptions) int64 {
	dirs, err := os.ReadDir(testdata(t, "resnet"))
	require.NoError(t, err)
	if o.Proxy != nil || program == Ray {
		dirs = dirs[:1] // each one restarts everything
	}
	var bytes int64
	for _, d := range dirs {
		var g struct {
			Size   int         `json:"size"`
			Logits [][]float64 `json:"logits"`
		}
		readGolden(t, &g, "resnet", d.Name(), "golden.json")
		o.Dir = testdata(t, "resnet", d.Name())
		for _, o.Form = range Forms(o.Workload) {
			m := startReal(t, program, o)
			x := waves(len(g.Logits), 3, g.Size, g.Size)
			out, ran, err := m.Run(t.Context(), map[string]Tensor{"pixels": x}, RunArgs{})
			require.NoError(t, err)
			require.Len(t, ran.Times, 1)
			near(t, g.Logits, out["logits"], 1e-5)
			again, ran, err := m.Run(t.Context(), nil, RunArgs{Timing: Timing{Repeat: 3}})
			require.NoError(t, err)
			require.Len(t, ran.Times, 3)
			near(t, g.Logits, again["logits"], 1e-5)
			placed(t, program, m, 4)
			bytes = 4 * int64(len(x.Data))
			if program == ONNXRuntime || program == Ray || o.Proxy != nil {
				break
			}
		}
	}
	return bytes
}

func runVQA(t *testing.T, program string, o ModelOptions) int64 {
	dirs, err := os.ReadDir(testdata(t, "clip"))
	require.NoError(t, err)
	if o.Proxy != nil || program == Ray {
		dirs = dirs[:1]
	}
	var bytes int64
	for _, d := range dirs {
		var g struct {
			Tokens [][]int     `json:"tokens"`
			Mask   [][]int     `json:"mask"`
			Logits [][]float64 `json:"logits_per_image"`
		}
		readGolden(t, &g, "clip", d.Name(), "golden.json")
		var config struct {
			Vision struct {
				Size int `json:"image_size"`
			} `json:"vision_config"`
		}
		readGolden(t, &config, "clip", d.Name(), "config.json")
		o.Dir = testdata(t, "clip", d.Name())
		m := startReal(t, program, o)
		x := waves(len(g.Logits), 3, config.Vision.Size, config.Vision.Size)
		out, _, err := m.Run(t.Context(), map[string]Tensor{"pixels": x, "tokens": i32(g.Tokens), "mask": i32(g.Mask)}, RunArgs{})
		require.NoError(t, err)
		near(t, g.Logits, out["logits_per_image"], 1e-5)
		placed(t, program, m, 1)
		bytes = int64(len(x.Data))
	}
	return bytes
}
