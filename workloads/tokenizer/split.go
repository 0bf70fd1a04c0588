package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// nextWord returns the length in bytes of the first word of text, which is not
// empty, as split by GPT-2's pattern (openai/gpt-2, encoder.py):
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// Go's regexp has no lookahead, hence this function.
func nextWord(text string) int {
	if n := contraction(text); n > 0 {
		return n
	}
	start := 0
	if text[0] == ' ' && len(text) > 1 {
		start = 1
	}
	r, _ := utf8.DecodeRuneInString(text[start:])
	if kind := kindOf(r); kind != space {
		return start + run(text[start:], kind)
	}
	end := run(text, space)
	if end == len(text) {
		return end
	}
	// \s+(?!\S) returns its last character, which then may begin the next word;
	// \s+ takes a single one.
	_, last := utf8.DecodeLastRuneInString(text[:end])
	if last == end {
		return end
	}
	return end - last
}

// contraction returns the length of an English ending such as 's at the
// beginning of text, 0 without one.
func contraction(text string) int {
	if text[0] == '\'' {
		for _, ending := range [...]string{"s", "t", "re", "ve", "m", "ll", "d"} {
			if strings.HasPrefix(text[1:], ending) {
				return 1 + len(ending)
			}
		}
	}
	return 0
}

type kind uint8

const (
	other kind = iota
	letter
	number
	space
)

func kindOf(r rune) kind {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	default:
		return other
	}
}

// digitPieces calls f with the pieces of text between its digits and the
// digits, each alone or in runs, as the pre-tokenizer Digits splits it.
func digitPieces(text string, each bool, f func(piece string)) {
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		n := size
		switch {
		case !unicode.IsNumber(r):
			if n = strings.IndexFunc(text, unicode.IsNumber); n < 0 {
				n = len(text)
			}
		case !each:
			if n = strings.IndexFunc(text, func(r rune) bool { return !unicode.IsNumber(r) }); n < 0 {
				n = len(text)
			}
		}
		f(text[:n])
		text = text[n:]
	}
}

// run returns the bytes of text up to the first character of another kind.
func run(text string, k kind) int {
	for i, r := range text {
		if kindOf(r) != k {
			return i
		}
	}
	return len(text)
}

// addedToken is a token that is searched for in the text before anything else.
type addedToken struct {
	content    string
	id         int
	special    bool
	alone      bool // only if no letter or digit is adjacent
	stripLeft  bool // takes the white space before it
	stripRight bool // takes the white space after it
	normalized bool // searched for in normalised text
	unless     bool // added unless a token of that content was, whatever its options
}

// findAdded returns the place of the first added token in text, including the
// white space that it takes, or len(text) twice. tokens are longest first.
func findAdded(tokens []addedToken, text string) (start, end, id int) {
	if len(tokens) == 0 {
		return len(text), len(text), 0
	}
	for i := range len(text) {
		for _, a := range tokens {
			if !strings.HasPrefix(text[i:], a.content) {
				continue
			}
			start, end = i, i+len(a.content)
			if a.alone && (endsInWord(text[:start]) || beginsWithWord(text[end:])) {
				continue
			}
			if a.stripLeft {
				start = len(strings.TrimRightFunc(text[:start], unicode.IsSpace))
			}
			if a.stripRight {
				end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
			}
			return start, end, a.id
		}
	}
	return len(text), len(text), 0
}

func endsInWord(text string) bool {
	r, _ := utf8.DecodeLastRuneInString(text)
	return text != "" && isWord(r)
}

func beginsWithWord(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return text != "" && isWord(r)
}

func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.Is(unicode.Nd, r) || unicode.IsMark(r) || unicode.Is(unicode.Pc, r)
}
