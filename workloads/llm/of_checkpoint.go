package llm

import (
	"fmt"

	"github.com/genie-sdk/go/workloads"
)

// Parts are the parts of a reference that the workloads of a checkpoint need,
// with the number of sequences in each.
func Parts(c *workloads.Checkpoint) map[string]int {
	parts := map[string]int{}
	for _, f := range checkpointForms(c) {
		parts[f.file] = f.batch
	}
	return parts
}

// checkpointForms are the forms in which a checkpoint is measured.
func checkpointForms(c *workloads.Checkpoint) []form {
	all := []form{{name: Decode, file: "decode", batch: 1}, {name: Prefill, file: "prefill", batch: 1}}
	if c.Scale() != workloads.Full {
		all = append(all, form{name: Decode, file: "decode4", batch: 4})
	}
	return all
}

// OfCheckpoint returns the workloads on a checkpoint with its reference.
func OfCheckpoint(c *workloads.Checkpoint, r *workloads.Reference) ([]*Workload, error) {
	var all []*Workload
	for _, f := range checkpointForms(c) {
		var g golden
		if err := r.Part(f.file, &g); err != nil {
			return nil, err
		}
		if err := g.check(); err != nil {
			return nil, fmt.Errorf("%w: %s of %s: %w", workloads.ErrReference, f.file, c.Label(), err)
		}
		w, err := g.workload(c.Label(), f)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", workloads.ErrReference, err)
		}
		w.id.Model, w.id.Checkpoint, w.id.Scale, w.dir = c.Label(), c.Label(), c.Scale(), c.Dir
		all = append(all, w)
	}
	return all, nil
}

// check finds a golden that was cut or assembled incorrectly: its sequences
// must have equal lengths, and each new token must have at least two logits,
// its own first.
func (g *golden) check() error {
	if len(g.Prompts) == 0 || len(g.Greedy) != len(g.Prompts) || len(g.Top) != len(g.Prompts) {
		return fmt.Errorf("%d prompts, %d continuations, %d with logits", len(g.Prompts), len(g.Greedy), len(g.Top))
	}
	for i, prompt := range g.Prompts {
		tokens, top := g.Greedy[i], g.Top[i]
		switch {
		case len(prompt) == 0 || len(prompt) != len(g.Prompts[0]):
			return fmt.Errorf("prompt %d has %d tokens", i, len(prompt))
		case len(tokens) == 0 || len(tokens) != len(g.Greedy[0]) || len(top) != len(tokens):
			return fmt.Errorf("prompt %d has %d new tokens and logits of %d", i, len(tokens), len(top))
		}
		for j, t := range top {
			if len(t.IDs) < 2 || len(t.Logits) != len(t.IDs) || t.IDs[0] != tokens[j] || !(t.MaxAbs > 0) {
				return fmt.Errorf("token %d of prompt %d has no logits of its own", j, i)
			}
		}
	}
	return nil
}
