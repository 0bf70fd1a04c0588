// Package gpt2 loads GPT-2-family checkpoints in the Hugging Face layout and
// captures them as programs for [genie.Generate].
//
//	m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
//	if err != nil { ... }
//	defer m.Close()
//	ids, err := m.Tokenizer.Encode("It is a truth")
//	...
//	out, err := genie.Generate(ctx, session, m.LM, genie.GenerateRequest{Prompts: [][]int{ids}, MaxNew: 50})
//
// The captured graph is the plain textbook one, whose cache grows by
// concatenation. The semantic pass decides what stays where.
//
// [NewCheckpoint] writes checkpoints of the published architectures with random
// weights from a seed, the same bytes on every CPU, for measurements that need
// the size of a model but not its quality.
package gpt2
