package onnx_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/npy"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/lazy/onnx"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// casesEnv names the folder that testdata/scripts/onnx_backend.py wrote all cases to.
// Without it the share in testdata/backend runs.
const casesEnv = "GENIE_ONNX_CASES"

// backendCase is one test of the ONNX project, as onnx_backend.py describes it.
type backendCase struct {
	Name       string       `json:"name"`
	Kind       string       `json:"kind"`
	Operator   string       `json:"operator"`
	Operators  []string     `json:"operators"`
	RTol       float64      `json:"rtol"`
	ATol       float64      `json:"atol"`
	OutOfScope string       `json:"out_of_scope"`
	Counted    bool         `json:"opset17_float32"`
	Random     bool         `json:"random"`
	Sets       []backendSet `json:"sets"`

	dir string
}

type backendSet struct {
	Inputs, Outputs []backendFile
}

type backendFile struct{ Name, File string }

// noisy are cases whose expected output is rounding noise of the reference where the
// exact result is zero, with the absolute error that this takes. The float32 inverse
// transform of NumPy leaves up to 4e-7 in the imaginary part of a real signal.
var noisy = map[string]float64{"test_dft_inverse": 1e-6, "test_dft_inverse_opset19": 1e-6}

// verdict is what became of a case.
type verdict struct {
	passed  bool
	fixed   []string // inputs whose content was given at import
	refused string   // the reasons
	wrong   string
}

func backendCases(t *testing.T) []*backendCase {
	t.Helper()
	dir := os.Getenv(casesEnv)
	if dir == "" {
		dir = filepath.Join("testdata", "backend")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "case.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "cases in %s", dir)
	out := make([]*backendCase, len(files))
	for i, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		out[i] = &backendCase{dir: filepath.Dir(f)}
		require.NoError(t, json.Unmarshal(b, out[i]), f)
	}
	return out
}

// TestBackend runs the tests of the ONNX project for backends on the executor in
// this process. A case passes or is refused by name; anything else is a failure.
func TestBackend(t *testing.T) {
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	var results []result
	for _, c := range backendCases(t) {
		t.Run(c.Kind+"/"+c.Name, func(t *testing.T) {
			v := c.judge(t, client)
			results = append(results, result{c, v})
			if v.wrong != "" {
				t.Errorf("%s: %s", c.Operator, v.wrong)
			}
		})
	}
	if os.Getenv(casesEnv) == "" {
		return
	}
	report(t, results)
}

func (c *backendCase) judge(t *testing.T, client *genie.Client) verdict {
	path := filepath.Join(c.dir, "model.onnx")
	if c.OutOfScope != "" {
		p, err := onnx.Open(t.Context(), path)
		if err == nil {
			return verdict{wrong: errText(p.Close())}
		}
		if !errors.Is(err, onnx.ErrUnsupported) && !errors.Is(err, onnx.ErrMalformed) {
			return verdict{wrong: err.Error()}
		}
		return verdict{refused: c.OutOfScope}
	}
	var out verdict
	for i := range c.Sets {
		if out = c.judgeSet(t, client, path, &c.Sets[i]); !out.passed {
			return out
		}
	}
	return out
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (c *backendCase) judgeSet(t *testing.T, client *genie.Client, path string, set *backendSet) verdict {
	feed := genie.Feed{}
	var opts []onnx.Option
	for _, in := range set.Inputs {
		x := c.array(t, in.File)
		feed[in.Name] = genie.FromTensor(x)
		opts = append(opts, onnx.WithShapeValue(in.Name, x))
	}
	p, err := onnx.Open(t.Context(), path, opts...)
	if refused, ok := errors.AsType[*onnx.RefusedError](err); ok {
		return verdict{refused: reasons(refused)}
	}
	if err != nil {
		return verdict{wrong: err.Error()}
	}
	defer p.Close()
	for _, name := range p.Fixed() {
		delete(feed, name)
	}
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	var outputs []*lazy.Tensor
	for _, o := range set.Outputs {
		outputs = append(outputs, p.Output(o.Name))
	}
	got, err := s.Run(t.Context(), feed, outputs...)
	if err != nil {
		return verdict{wrong: "run: " + err.Error()}
	}
	for i, o := range set.Outputs {
		x, err := got[i].Tensor(t.Context())
		require.NoError(t, err)
		if diff := c.differs(x, c.array(t, o.File)); diff != "" {
			return verdict{wrong: fmt.Sprintf("output %s: %s", o.Name, diff)}
		}
	}
	return verdict{passed: true, fixed: p.Fixed()}
}

func reasons(e *onnx.RefusedError) string {
	var out []string
	for _, n := range e.Nodes {
		r := n.Op + ": " + n.Err.Error()
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return strings.Join(out, "; ")
}

func (c *backendCase) array(t *testing.T, file string) transport.Tensor {
	t.Helper()
	f, err := os.Open(filepath.Join(c.dir, file))
	require.NoError(t, err)
	defer f.Close()
	x, err := npy.Read(f, 1<<30)
	require.NoError(t, err, file)
	return x
}

// differs compares as numpy.testing.assert_allclose does.
func (c *backendCase) differs(got, want transport.Tensor) string {
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		return fmt.Sprintf("%v%d, want %v%d", got.DType, got.Shape, want.DType, want.Shape)
	}
	a, b := values(got), values(want)
	atol := max(c.ATol, noisy[c.Name])
	for i, w := range b {
		g := a[i]
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if math.IsNaN(g) || math.IsNaN(w) || math.IsInf(w, 0) || math.Abs(g-w) > atol+c.RTol*math.Abs(w) {
			return fmt.Sprintf("element %d of %d is %v, want %v", i, len(b), g, w)
		}
	}
	return ""
}

func values(t transport.Tensor) []float64 {
	n := len(t.Data) / t.DType.Size()
	out := make([]float64, n)
	for i := range out {
		out[i] = element(t.DType, t.Data[i*t.DType.Size():])
	}
	return out
}

func element(dt plan.DType, b []byte) float64 {
	switch dt {
	case plan.F32:
		return float64(math.Float32frombits(le32(b)))
	case plan.I32:
		return float64(int32(le32(b)))
	case plan.I64:
		return float64(int64(uint64(le32(b)) | uint64(le32(b[4:]))<<32))
	default:
		return float64(b[0])
	}
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
