package baselines

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// systemTensors are tensors in the form that reference systems receive.
func systemTensors(in map[string]transport.Tensor) map[string]systems.Tensor {
	out := make(map[string]systems.Tensor, len(in))
	for name, t := range in {
		out[name] = systems.Tensor{DType: systemType(t.DType), Shape: t.Shape, Data: t.Data}
	}
	return out
}

func systemType(t plan.DType) string {
	switch t {
	case plan.I32:
		return "i32"
	case plan.I64:
		return "i64"
	case plan.Invalid, plan.F32, plan.F16, plan.BF16, plan.Bool:
	}
	return "f32"
}

func absolute(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	return filepath.Abs(dir)
}

// weightsIn are copies of all tensors of a single-file checkpoint.
func weightsIn(dir string) (map[string]systems.Tensor, error) {
	f, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]systems.Tensor{}
	for _, name := range f.Names() {
		t, _ := f.Tensor(name)
		if t.DType != safetensors.F32 {
			return nil, fmt.Errorf("%w: weight %s is %v", errCase, name, t.DType)
		}
		w := systems.Tensor{DType: "f32"}
		if err := t.Read(func(data []byte) { w.Data = slices.Clone(data) }); err != nil {
			return nil, err
		}
		for _, d := range t.Shape {
			w.Shape = append(w.Shape, int(d))
		}
		out[name] = w
	}
	return out, nil
}
