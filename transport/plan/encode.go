package plan

//go:generate sh -c "cd ../.. && go tool -modfile=tools/go.mod buf generate transport --config tools/buf.yaml --template tools/buf.gen.yaml"

import (
	"bytes"
	"fmt"

	"github.com/zeebo/blake3"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport/plan/internal/planpb"
)

// Limits of an encoded plan, which [Plan.Validate] keeps to.
const (
	MaxPlanBytes    = 64 << 20
	MaxPlanElements = 1 << 19 // entries of all lists together
)

// Encode writes the plan as protobuf. Equal plans have equal encodings, and
// [Decode] gives the plan back. Errors wrap [ErrInvalid].
func (p *Plan) Encode() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(p.message())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return b, nil
}

// Hash is the BLAKE3-256 digest of the encoding: the plan's name everywhere.
// A plan that cannot be encoded has the zero Hash. The digest is computed at
// every call.
func (p *Plan) Hash() Hash {
	b, err := p.Encode()
	if err != nil {
		return Hash{}
	}
	return HashEncoded(b)
}

// HashEncoded is [Plan.Hash] of the plan that encoded is the encoding of.
func HashEncoded(encoded []byte) Hash { return blake3.Sum256(encoded) }

// Decode reads what [Plan.Encode] wrote, and nothing else: an encoding that is
// not the one that Encode gives for the same plan is refused, so that a plan
// has one hash. Counts are checked before anything is allocated for them.
// Errors wrap [ErrInvalid].
func Decode(encoded []byte) (*Plan, error) {
	if len(encoded) > MaxPlanBytes {
		return nil, fmt.Errorf("%w: encoding of %d bytes, the limit is %d", ErrInvalid, len(encoded), MaxPlanBytes)
	}
	if err := scanPlan(encoded); err != nil {
		return nil, err
	}
	var m planpb.Plan
	if err := proto.Unmarshal(encoded, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	p, err := fromMessage(&m)
	if err != nil {
		return nil, err
	}
	again, err := p.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, encoded) {
		return nil, fmt.Errorf("%w: the encoding is not canonical", ErrInvalid)
	}
	return p, nil
}
