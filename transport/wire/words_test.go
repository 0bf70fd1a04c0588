package wire_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/wire"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"plain, with ümlaut, 漢字 and 🙂":         "plain, with ümlaut, 漢字 and 🙂",
		"\x1b]0;owned\x07\x1b[2J\x1b[31mhello": `\x1b]0;owned\a\x1b[2J\x1b[31mhello`,
		"a\rb\x00c\x7fd":                       `a\rb\x00c\x7fd`,
		"C1: \u009b31m \u0085":                 `C1: \u009b31m \u0085`,
		"bidi: \u202e \u2066 \u200f":           `bidi: \u202e \u2066 \u200f`,
		"joined\u200bapart\ufeff":              `joined\u200bapart\ufeff`,
		"tag \U000e0041":                       `tag \U000e0041`,
		"line\u2028and\u2029":                  `line\u2028and\u2029`,
		"no-break\u00a0space\ttab":             `no-break\u00a0space\ttab`,
		"raw \x9b31m, \xff, cut \xe2\x80":      `raw \x9b31m, \xff, cut \xe2\x80`,
		"\ufffd":                               "\ufffd",
		`C:\models`:                            `C:\models`,
	} {
		require.Equal(t, want, wire.Printable(in))
		require.Equal(t, want, wire.Printable(want), "once is enough")
	}
}

func TestWords(t *testing.T) {
	require.Equal(t, `hello; forged line\x1b`, wire.Words("hello\r\nforged line\x1b\n"))
	require.Len(t, wire.Words(strings.Repeat("a", 5000)), wire.MaxErrorText)
	require.LessOrEqual(t, len(wire.Words(strings.Repeat("\u202e", 5000))), 4*wire.MaxErrorText)
}

// FuzzPrintable verifies that what is left is printed.
func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"a", "\x1b[2J", "\u202e\u009b", "\xff\xfe", "\U000e0041", "ü\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := wire.Words(s)
		require.True(t, utf8.ValidString(out))
		require.False(t, strings.ContainsFunc(out, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", out)
	})
}
