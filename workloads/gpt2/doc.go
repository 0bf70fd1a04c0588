// Package gpt2 loads GPT-2-family checkpoints as Hugging Face writes them and
// captures them as programs for [genie.Generate].
//
//	m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
//	if err != nil { ... }
//	defer m.Close()
//	ids, err := m.Tokenizer.Encode("It is a truth")
//	...
//	out, err := genie.Generate(ctx, session, m.LM, genie.GenerateRequest{Prompts: [][]int{ids}, MaxNew: 50})
//
// The captured graph is the plain textbook one, its cache grown by
// concatenation: what stays where is the semantic pass's business.
//
// [NewCheckpoint] writes checkpoints of the true architectures with weights
// drawn from a seed, the same bytes on every CPU, for measurements that need
// the size of a model and not its words.
package gpt2
