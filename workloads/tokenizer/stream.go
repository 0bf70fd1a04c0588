package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Stream decodes token by token. A character whose bytes span several tokens is
// returned with its last byte, so every string is valid UTF-8; their
// concatenation is what [Tokenizer.Decode] returns for all ids. It is not safe
// for concurrent use.
type Stream struct {
	t    *Tokenizer
	held []byte // the beginning of a character: at most 3 bytes
}

// Stream returns a new decoder.
func (t *Tokenizer) Stream() *Stream { return &Stream{t: t} }

// Next takes one id and returns the text that is now complete, which may be
// empty. The error wraps [ErrUnknownToken]; the stream stays usable.
func (s *Stream) Next(id int) (string, error) {
	b, ok := s.t.text[id]
	if !ok {
		return "", fmt.Errorf("%w: %d", ErrUnknownToken, id)
	}
	var text string
	text, s.held = wholeCharacters(append(s.held, b...), false)
	return text, nil
}

// Flush ends the text: a pending partial character becomes U+FFFD. The stream
// can be used for another text afterwards.
func (s *Stream) Flush() string {
	text, _ := wholeCharacters(s.held, true)
	s.held = nil
	return text
}

// wholeCharacters returns raw as text, with U+FFFD for bytes that are not
// UTF-8, one for each maximal part of a character, as the Unicode standard
// recommends (chapter 3, U+FFFD substitution) and the reference does. Unless it
// is the end, a partial character at the end of raw is returned in rest.
func wholeCharacters(raw []byte, end bool) (text string, rest []byte) {
	var out strings.Builder
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 {
			if !end && !utf8.FullRune(raw) {
				return out.String(), append([]byte(nil), raw...)
			}
			n = partLength(raw)
		}
		out.WriteRune(r)
		raw = raw[n:]
	}
	return out.String(), nil
}

// partLength returns how many bytes at the beginning of raw, which does not
// begin with a whole character, could begin one; 1 if the first cannot.
func partLength(raw []byte) int {
	n := 1
	for n < len(raw) && n < utf8.UTFMax && !utf8.FullRune(raw[:n]) && canFollow(raw[:n], raw[n]) {
		n++
	}
	return n
}

// canFollow reports whether some character begins with the bytes of part and
// then next.
func canFollow(part []byte, next byte) bool {
	longer := append(append(make([]byte, 0, utf8.UTFMax), part...), next)
	if !utf8.FullRune(longer) {
		return true
	}
	r, n := utf8.DecodeRune(longer)
	return r != utf8.RuneError || n > 1
}
