package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// encodeCLIP appends the ids of words as split by CLIP's pattern (openai/CLIP,
// simple_tokenizer.py), each split again by ByteLevel's:
//
//	<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
//
// White space between words is dropped. The alternatives for special tokens
// affect only where a word begins: ByteLevel splits them.
func (t *Tokenizer) encodeCLIP(ids []int, text string) []int {
	for text != "" {
		n, word := nextCLIPWord(text)
		for word != "" {
			part := nextWord(word)
			ids = t.model.encode(ids, word[:part])
			word = word[part:]
		}
		text = text[n:]
	}
	return ids
}

// nextCLIPWord returns the first word of text, which is not empty, and how many
// bytes of text it takes; no word for white space.
func nextCLIPWord(text string) (n int, word string) {
	for _, special := range [...]string{"<|startoftext|>", "<|endoftext|>"} {
		if strings.HasPrefix(text, special) {
			return len(special), special
		}
	}
	if n := contraction(text); n > 0 {
		return n, text[:n]
	}
	r, size := utf8.DecodeRuneInString(text)
	kind := kindOf(r)
	switch kind {
	case space:
		return size, ""
	case number:
		return size, text[:size]
	case letter, other:
	}
	n = run(text, kind)
	return n, text[:n]
}

// dottedI spells the capital I with a dot in lower case, which is two
// characters (Unicode's SpecialCasing.txt) where simple case mapping has one.
var dottedI = strings.NewReplacer("\u0130", "i\u0307", "I\u0307", "i\u0307")

// EncodeFixed returns exactly length ids of text, for models with a constant
// length such as CLIP. A longer text is truncated, inside the tokens that
// post-processing adds, and a shorter one is padded at its end with
// [Tokenizer.Pad]. mask is 1 for each token of the text and 0 for padding. The
// error wraps [ErrInvalidText], or [ErrUnsupported] when the tokenizer has no
// padding token or length has no room for the added ones.
func (t *Tokenizer) EncodeFixed(text string, length int) (ids, mask []int, err error) {
	pad, ok := t.Pad()
	switch {
	case !ok:
		return nil, nil, fmt.Errorf("%w: there is no pad_token", ErrUnsupported)
	case length < len(t.before)+len(t.after):
		return nil, nil, fmt.Errorf("%w: no text fits in %d tokens", ErrUnsupported, length)
	}
	if ids, err = t.Encode(text); err != nil {
		return nil, nil, err
	}
	if len(ids) > length {
		ids = append(ids[:length-len(t.after)], t.after...)
	}
	mask = make([]int, length)
	for i := range ids {
		mask[i] = 1
	}
	for len(ids) < length {
		ids = append(ids, pad)
	}
	return ids, mask, nil
}
