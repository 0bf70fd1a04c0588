package wire

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words are a peer's words as they may be shown to people and written to logs: one
// line of at most [MaxErrorText] bytes before what follows, in which ends of lines
// are semicolons and everything else that is not printed is [Printable].
func Words(s string) string {
	s = s[:min(len(s), MaxErrorText)]
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	return Printable(strings.Join(lines, "; "))
}

// Printable is s with each character that does more, or less, than to be printed
// written as Go writes it in a string: control characters (C0, DEL, C1), of which
// terminals make commands, characters that change the direction of text or join
// others, which make it read as another (Boucher and Anderson, Trojan Source, 2021),
// spaces but the usual one, and bytes that are no UTF-8.
func Printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case !unicode.IsPrint(r):
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unprintable is true of what stands for a byte that is no UTF-8, too.
func unprintable(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
