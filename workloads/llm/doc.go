// Package llm defines the language-model workloads of the evaluation,
// llm-decode and llm-prefill: the model at each scale, the prompts, and the
// outputs of transformers. See testdata/llm for the expected outputs and how
// they were made.
package llm
