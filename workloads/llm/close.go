package llm

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/workloads"
)

// Another implementation that computes the same in another order rounds
// differently. Where two tokens are equally likely up to rounding, it may
// sample another token. Such a choice is a close call: from there on the
// generations may differ.

// close reports whether an error within the tolerance, a fraction of the
// largest logit, can change which token is sampled.
func (w *Workload) close(seq, step int, tolerance float64) bool {
	top := w.Top[seq][step]
	return top.Logits[0]-top.Logits[1] <= 2*tolerance*top.MaxAbs
}

// Follows compares new tokens, [batch][new], with those of transformers, each
// sequence up to its first close call.
func (w *Workload) Follows(tokens [][]int, tolerance float64) error {
	if len(tokens) != len(w.Want) {
		return fmt.Errorf("%w: %s: %d sequences, want %d", workloads.ErrMismatch, w.id.Label(), len(tokens), len(w.Want))
	}
	for seq, got := range tokens {
		for step, t := range got {
			if step >= len(w.Want[seq]) || w.close(seq, step, tolerance) {
				break
			}
			if t != w.Want[seq][step] {
				return fmt.Errorf("%w: %s: sequence %d: tokens %v, want %v", workloads.ErrMismatch, w.id.Label(), seq, got, w.Want[seq])
			}
		}
	}
	return nil
}

// Agrees compares logits, f32 [new, batch, vocab], of a generation that was fed
// the reference's tokens, and returns the largest absolute difference.
func (w *Workload) Agrees(logits []float32, vocab int, tolerance float64) (maxAbs float64, err error) {
	if len(logits) != w.New()*len(w.Want)*vocab {
		return 0, fmt.Errorf("%w: %s: %d logits", workloads.ErrMismatch, w.id.Label(), len(logits))
	}
	for seq := range w.Want {
		for step := range w.Want[seq] {
			row, top := logits[(step*len(w.Want)+seq)*vocab:][:vocab], w.Top[seq][step]
			for i, id := range top.IDs {
				d := math.Abs(float64(row[id]) - top.Logits[i])
				maxAbs = max(maxAbs, d)
				if !(d <= tolerance*top.MaxAbs) {
					return maxAbs, fmt.Errorf("%w: %s: sequence %d, token %d: logit %d is %g, want %g within %g",
						workloads.ErrMismatch, w.id.Label(), seq, step, id, row[id], top.Logits[i], tolerance*top.MaxAbs)
				}
			}
		}
	}
	return maxAbs, nil
}
