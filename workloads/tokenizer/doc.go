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
// Byte-level BPE as GPT-2 uses it, with everything that is part of it in the
// format: GPT-2's split or none, after that of digits or not, add_prefix_space,
// added tokens with their options, template post-processing, Unicode
// normalisation. Of the files beside tokenizer.json, what transformers'
// AutoTokenizer takes from them: tokens that they add or name, and the class of
// the tokenizer, of which GPT-2's makes its split anew. And CLIP's form of it: lower
// case, CLIP's split, the suffix </w> of a word's last token, a start and an
// end token around the text, a fixed length ([Tokenizer.EncodeFixed]). A file
// that asks for anything else is refused with [ErrUnsupported]: other ids than
// the model was trained with look like a bad model, not like a bad tokenizer.
//
// # What comes from go-huggingface
//
// The file is read, and normalisation done, by
// github.com/gomlx/go-huggingface/tokenizers/hftokenizer. Its encoder is not
// used: v0.4.0 splits byte-level text at spaces only. GPT-2's split also
// separates letters, digits, punctuation, contractions and runs of white
// space, so "  x", "\n\n" or "they'll" get other ids there than in the
// reference. It is also quadratic in the length of a word, and its decoder
// treats an added token with letters outside ASCII as bytes.
package tokenizer
