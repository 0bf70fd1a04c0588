// Package models holds the checkpoint that ships with the SDK, so that a
// binary can show itself without the repository beside it. It adds 7.5 MiB to
// a program that imports it.
package models

import "embed"

// Austen is the name of the folder in [Files] that holds the checkpoint, in
// the layout of Hugging Face.
const Austen = "austen"

// Files has the folder [Austen]: a GPT-2 of 3.7 million weights, half
// precision, trained on Jane Austen's novels.
//
//go:embed austen/config.json austen/generation_config.json austen/model.safetensors
//go:embed austen/tokenizer.json austen/tokenizer_config.json austen/special_tokens_map.json
var Files embed.FS
