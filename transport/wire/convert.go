package wire

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// HandleMessage is the wire form of a handle.
func HandleMessage(h transport.Handle) *wirepb.Handle {
	return &wirepb.Handle{Session: h.Session, Id: h.ID, Epoch: h.Epoch, Generation: h.Generation}
}

// HandleFrom is the inverse of [HandleMessage].
func HandleFrom(m *wirepb.Handle) transport.Handle {
	return transport.Handle{Session: m.GetSession(), ID: m.GetId(), Epoch: m.GetEpoch(), Generation: m.GetGeneration()}
}

// WeightBytes is the size of a weight's content as it is stored.
func WeightBytes(v *plan.Value) (uint64, error) {
	shape, err := v.Spec.Shape.Eval(nil)
	if err != nil {
		return 0, fmt.Errorf("weight %.80q: %w", v.Name, err)
	}
	return Bytes(v.Storage, shape)
}
