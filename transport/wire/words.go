package wire

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Words makes a peer's text safe to show and to log: one line of at most
// [MaxErrorText] bytes before escaping, with semicolons for line ends and
// everything else escaped by [Printable].
func Words(s string) string {
	s = s[:min(len(s), MaxErrorText)]
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	return Printable(strings.Join(lines, "; "))
}

// Printable is s with each character that is not simply printed escaped as in a
// Go string: control characters (C0, DEL, C1), which terminals interpret as
// commands; characters that change the direction of text or join others, which
// make it read differently (Boucher and Anderson, Trojan Source, 2021); spaces
// except the usual one; and bytes that are not UTF-8.
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

// unprintable also reports the rune that stands for a byte that is not UTF-8.
func unprintable(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
