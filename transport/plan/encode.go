package plan

//go:generate sh -c "cd ../.. && go tool -modfile=tools/go.mod buf generate transport --config tools/buf.yaml --template tools/buf.gen.yaml"

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/zeebo/blake3"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport/plan/internal/planpb"
)

// Limits of an encoded plan. [Plan.Validate] enforces them.
const (
	MaxPlanBytes    = 64 << 20
	MaxPlanElements = 1 << 19 // entries in all lists
	MaxPlanFactors  = 1 << 20 // numbers and symbols in all dimensions
)

// Encode writes the plan as protobuf. Equal plans have equal encodings, and
// [Decode] restores the plan. Errors wrap [ErrInvalid].
func (p *Plan) Encode() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p.marshal()
}

// marshal encodes a valid plan.
func (p *Plan) marshal() ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(p.message())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return b, nil
}

// Hash is the BLAKE3-256 digest of the encoding. It identifies the plan
// everywhere. A plan that cannot be encoded has the zero Hash. Every call
// computes the digest.
func (p *Plan) Hash() Hash {
	b, err := p.Encode()
	if err != nil {
		return Hash{}
	}
	return HashEncoded(b)
}

// HashEncoded is [Plan.Hash] of the plan with the given encoding.
func HashEncoded(encoded []byte) Hash { return blake3.Sum256(encoded) }

// Decode reads the output of [Plan.Encode]. It refuses any other encoding of
// the same plan, so that a plan has one hash. It checks counts before it
// allocates anything for them. Errors wrap [ErrInvalid].
func Decode(encoded []byte) (*Plan, error) { return DecodeContext(context.Background(), encoded) }

// DecodeContext is [Decode], but ends with an error wrapping the cause of ctx
// when ctx ends. It checks ctx between its passes over the encoding.
func DecodeContext(ctx context.Context, encoded []byte) (*Plan, error) {
	if len(encoded) > MaxPlanBytes {
		return nil, fmt.Errorf("%w: encoding of %d bytes, the limit is %d", ErrInvalid, len(encoded), MaxPlanBytes)
	}
	var m planpb.Plan
	var p *Plan
	var again []byte
	passes := []func() error{
		func() error { return scanPlan(encoded) },
		func() error { return proto.Unmarshal(encoded, &m) },
		func() (err error) { p, err = fromMessage(&m); return err },
		func() error { return p.Validate() },
		func() (err error) { again, err = p.marshal(); return err },
	}
	for _, pass := range passes {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("genie: stopped while a plan was read: %w", context.Cause(ctx))
		}
		if err := pass(); err != nil && !errors.Is(err, ErrInvalid) {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		} else if err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(again, encoded) {
		return nil, fmt.Errorf("%w: the encoding is not canonical", ErrInvalid)
	}
	return p, nil
}
