package pyjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrSyntax marks text that is not JSON, even in Python's dialect.
var ErrSyntax = errors.New("genie: not valid JSON")

// The numbers that Python writes and JSON lacks, and how transformers spells
// them in strict JSON (configuration_utils.py, _encode_special_floats).
var specials = []struct{ bare, spelled string }{
	{"-Infinity", `{"__float__":"-Infinity"}`},
	{"Infinity", `{"__float__":"Infinity"}`},
	{"NaN", `{"__float__":"NaN"}`},
}

// Clean returns text as strict JSON: without a byte order mark, and with NaN
// and the infinities spelled {"__float__":"NaN"}. The error wraps [ErrSyntax].
func Clean(text []byte) ([]byte, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if json.Valid(text) {
		return text, nil
	}
	out := make([]byte, 0, len(text)+64)
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '"':
			n := stringLength(text[i:])
			out = append(out, text[i:i+n]...)
			i += n
		case '-', 'I', 'N':
			bare, spelled := special(text[i:])
			out = append(out, spelled...)
			i += len(bare)
		default:
			out = append(out, c)
			i++
		}
	}
	if !json.Valid(out) {
		return nil, fmt.Errorf("%w%s", ErrSyntax, where(out))
	}
	return out, nil
}

// special is the special number at the beginning of text, which is not empty,
// and its spelling; for anything else it is one byte, twice.
func special(text []byte) (bare, spelled string) {
	for _, s := range specials {
		if bytes.HasPrefix(text, []byte(s.bare)) {
			return s.bare, s.spelled
		}
	}
	return string(text[:1]), string(text[:1])
}

// stringLength is the length of the JSON string at the beginning of text,
// quotes included; all of text if the string has no end.
func stringLength(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// where says at which byte text stops being JSON.
func where(text []byte) string {
	var all json.RawMessage
	if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(text, &all)); ok {
		return fmt.Sprintf(": %v, at byte %d", syntax, syntax.Offset)
	}
	return ""
}
