package gorgonia

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// weightValue is a weight, widened to its compute type, as Gorgonia's value.
func weightValue(w transport.Weight) (gorgonia.Value, error) {
	a, err := weightArray(w)
	if err != nil {
		return nil, err
	}
	return lazygraph.ValueOf(a)
}

// weightArray copies a weight and widens it to its compute type.
func weightArray(w transport.Weight) (*op.Array, error) {
	dt := w.Storage
	if dt == plan.F16 || dt == plan.BF16 {
		dt = plan.F32
	}
	a := op.NewArray(dt, w.Shape...)
	if len(w.Data) != a.Len()*w.Storage.Size() {
		return nil, fmt.Errorf("%w: weight %q has %d bytes for %v%v", lazy.ErrShape, w.Name, len(w.Data), w.Storage, w.Shape)
	}
	if w.Storage == dt {
		_, err := w.CopyTo(a.Data, 0)
		return a, err
	}
	wide, err := w.Widened()
	copy(a.Data, wide)
	return a, err
}
