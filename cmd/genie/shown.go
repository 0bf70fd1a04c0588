package main

import (
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/genie-sdk/go/transport/wire"
)

// text is standard output for the text of a model: unchanged, but on a terminal
// without control characters. Tokens may come from a worker, which could choose
// them to attack the terminal.
func (a *app) text() io.Writer {
	if f, ok := a.stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return terminalText{f}
	}
	return a.stdout
}

// terminalText writes text with its lines and tabs, and escapes every other
// character that is not printed.
type terminalText struct{ w io.Writer }

// Write implements [io.Writer].
func (t terminalText) Write(b []byte) (int, error) {
	var out strings.Builder
	rest := string(b)
	for rest != "" {
		n := strings.IndexAny(rest, "\n\t")
		if n < 0 {
			n = len(rest)
		}
		out.WriteString(wire.Printable(rest[:n]))
		if n < len(rest) {
			out.WriteByte(rest[n])
			n++
		}
		rest = rest[n:]
	}
	if _, err := io.WriteString(t.w, out.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// plainJSON also escapes characters in JSON that are not printed: encoding/json
// leaves DEL, the C1 controls and characters that change the direction of text
// unchanged, and JSON is sometimes read on a terminal. It is given whole
// messages, in which such characters occur only in strings.
type plainJSON struct{ w io.Writer }

// Write implements [io.Writer].
func (p plainJSON) Write(b []byte) (int, error) {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, len(b))
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == '\n' || unicode.IsPrint(r) {
			out = append(out, rest[:n]...)
		} else {
			for _, u := range utf16.Encode([]rune{r}) {
				out = append(out, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
			}
		}
		rest = rest[n:]
	}
	if _, err := p.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}
