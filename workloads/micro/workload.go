package micro

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
)

// Name is the workload's name in results.
const Name = "micro"

// workload is one judged case at one scale.
type workload struct {
	c     Case
	scale workloads.Scale
	data  string
	pool  *pool
	want  *reference // nil for transfers
}

// All returns the workloads of a scale, one per operator or transfer. testdata
// is the folder of that name in a checkout. The small and the full scale have
// the same cases. Inputs are generated on demand, and the large ones share
// memory.
func All(testdata string, scale workloads.Scale) ([]workloads.Workload, error) {
	references, err := readReferences(testdata, scale)
	if err != nil {
		return nil, err
	}
	shared := &pool{}
	var all []workloads.Workload
	for _, c := range SuiteAt(scale).Judged {
		w := &workload{c: c, scale: scale, data: testdata, pool: shared}
		if !c.Transfer() {
			if w.want = references[c.String()]; w.want == nil {
				return nil, fmt.Errorf("%w: %v has no reference", ErrCase, c)
			}
		}
		all = append(all, w)
	}
	return all, nil
}

// ID implements [workloads.Workload]: the model is the operator, the op the
// operator and its size.
func (w *workload) ID() workloads.ID {
	return workloads.ID{Name: Name, Model: w.c.Op, Variant: w.c.String(), Scale: w.scale, Batch: w.c.batch()}
}

// Dir implements [workloads.Workload]: a checkpoint of the case's weights, in
// testdata at the tiny scale and otherwise written at first use; 4 MiB at most.
func (w *workload) Dir(ctx context.Context, _ transport.Progress) (string, error) {
	if w.scale == workloads.Tiny {
		return filepath.Join(w.data, "micro", w.c.String()), nil
	}
	root, err := workloads.ModelsRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "micro-"+w.c.String())
	return dir, w.c.ensureCheckpoint(ctx, dir)
}

// Load implements [workloads.Workload].
func (w *workload) Load(ctx context.Context, dir string) (workloads.Program, error) {
	p, err := w.c.loadCheckpoint(ctx, dir)
	if err != nil {
		return nil, err
	}
	p.in = w.Inputs()
	return p, nil
}

// Inputs implements [workloads.Workload].
func (w *workload) Inputs() map[string]transport.Tensor { return w.pool.inputs(w.c) }

// Verify implements [workloads.Workload].
func (w *workload) Verify(o workloads.Output) (float64, error) {
	if w.want == nil {
		return w.c.verifyTransfer(o.Tensors[output])
	}
	d, err := w.want.verify(o.Tensors[output], plan.F32)
	if err != nil {
		err = fmt.Errorf("%v: %w", w.c, err)
	}
	return d, err
}
