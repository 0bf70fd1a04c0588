package genie

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// CausalLM is a captured causal language model that ends in sampling the next
// token. It is what [Generate] needs to know of a model.
type CausalLM struct {
	Graph *lazy.Graph
	// Tokens and Positions are inputs i32 [batch, seq]. Start, nil for a model
	// without one, is an input i32 [batch]: the number of padding rows before
	// each sequence, which attention must ignore. A model with Start takes
	// sequences of different lengths, padded on the left.
	Tokens, Positions, Start *lazy.Tensor
	// Logits is f32 [batch, seq, vocab].
	Logits *lazy.Tensor
	// Next is i32 [batch], the token sampled from the last row of logits.
	Next *lazy.Tensor

	Context int // longest sequence the model takes, 0 for no limit
	EOS     int // token that ends a sequence, negative for none
	// MoreEOS are further tokens that end a sequence.
	MoreEOS []int
	// Check, if not nil, is called before a generation unless
	// [GenerateRequest.IgnoreSettings] is set. It refuses a request for which
	// the model's own settings, which [Generate] does not apply, would give
	// another answer.
	Check func(r *GenerateRequest) error
}

// ends reports whether a token ends a sequence.
func (lm *CausalLM) ends(token int) bool {
	return token >= 0 && (token == lm.EOS || slices.Contains(lm.MoreEOS, token))
}

// Names of the inputs that [NewCausalLM] adds: the sampling parameters, each
// [batch].
const (
	inputTemperature = "sampling.temperature" // f32
	inputTopP        = "sampling.top_p"       // f32
	inputTopK        = "sampling.top_k"       // i32
	inputSeed        = "sampling.seed"        // i64
)

// NewCausalLM completes a captured model: it samples a token from the last row
// of logits [batch, seq, vocab]. The position of that row is the counter of the
// random numbers, so a draw depends only on the seed and the place in its own
// sequence. start may be nil. The caller sets Context and EOS.
func NewCausalLM(tokens, positions, start, logits *lazy.Tensor) (*CausalLM, error) {
	if err := logits.Err(); err != nil {
		return nil, err
	}
	g := logits.Graph()
	if g.Err() != nil {
		return nil, g.Err()
	}
	if len(logits.Shape()) != 3 {
		return nil, fmt.Errorf("%w: logits %v, want [batch, seq, vocab]", ErrShape, logits.Shape())
	}
	inputs := []*lazy.Tensor{tokens, positions}
	if start != nil {
		inputs = append(inputs, start)
	}
	for _, in := range inputs {
		if err := in.Err(); err != nil {
			return nil, err
		}
		if in.Kind() != lazy.KindInput || in.DType() != plan.I32 || in.Graph() != g {
			return nil, fmt.Errorf("%w: %v is no i32 input of the graph", ErrCapture, in)
		}
	}
	batch := logits.Dim(0)
	next := lazy.Sample(lazy.Last(logits, 1), lazy.Sampling{
		Temperature: g.Input(inputTemperature, lazy.F32, batch),
		TopP:        g.Input(inputTopP, lazy.F32, batch),
		TopK:        g.Input(inputTopK, lazy.I32, batch),
		Seed:        g.Input(inputSeed, lazy.I64, batch),
		Counter:     lazy.Last(positions, 1),
	})
	g.Output("next", next)
	return &CausalLM{Graph: g, Tokens: tokens, Positions: positions, Start: start, Logits: logits, Next: next, EOS: -1}, g.Err()
}
