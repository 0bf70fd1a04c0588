// Package tokenizer turns text into token ids and back with a Hugging Face
// tokenizer.json. Nothing is downloaded.
//
//	t, err := tokenizer.Load(dir)
//	if err != nil { ... }
//	ids, err := t.Encode("It was the best of times")
//	s := t.Stream()
//	for id := range generated {
//		text, err := s.Next(id) // whole characters only
//	}
//
// # What is supported
//
// Byte-level BPE as in GPT-2, with all its options in the format: GPT-2's split
// or none, with or without a split at digits, add_prefix_space, added tokens
// with their options, template post-processing, Unicode normalisation. From the
// files beside tokenizer.json it takes what transformers' AutoTokenizer takes:
// added and named tokens, and the class of the tokenizer, since GPT-2's class
// rebuilds the split. It also supports CLIP's variant: lower case, CLIP's
// split, the suffix </w> of a word's last token, a start and an end token
// around the text, a constant length ([Tokenizer.EncodeFixed]). A file with any
// other setting is refused with [ErrUnsupported]: wrong ids look like a bad
// model, not like a bad tokenizer.
//
// # What comes from go-huggingface
//
// github.com/gomlx/go-huggingface/tokenizers/hftokenizer reads the file and
// normalises text. Its encoder is not used: v0.4.0 splits byte-level text only
// at spaces. GPT-2's split also separates letters, digits, punctuation,
// contractions and runs of white space, so " x", "\n\n" or "they'll" would get
// other ids than in the reference. It is also quadratic in the length of a
// word, and its decoder treats an added token with letters outside ASCII as
// bytes.
package tokenizer
