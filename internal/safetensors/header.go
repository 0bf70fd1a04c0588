package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

const (
	lengthBytes = 8
	// maxHeaderBytes is the reference implementation's limit; it bounds what
	// a file can make the reader allocate.
	maxHeaderBytes = 100_000_000
	metadataKey    = "__metadata__"
)

// span is one tensor as the header describes it. begin and end count from the
// first byte after the header.
type span struct {
	name       string
	dtype      DType
	shape      []int64
	begin, end int64
}

// header is a checked header: every span is inside the data, their sizes match
// their shapes, and in order they cover the data without a hole.
type header struct {
	raw      []byte // the JSON text, padding included
	metadata map[string]string
	spans    []span // by offset
	size     int64  // bytes of all tensors
}

// fault is a fault found before the file's name is known.
func fault(tensor string, sentinel error, format string, args ...any) *Error {
	return &Error{Tensor: tensor, Reason: fmt.Sprintf(format, args...), Err: sentinel}
}

// headerLength is the length of the JSON text of a file of size bytes, by its
// first bytes.
func headerLength(first []byte, size int64) (int64, *Error) {
	n := binary.LittleEndian.Uint64(first)
	if n > maxHeaderBytes {
		return 0, fault("", ErrCorrupt, "header length %d is over the limit of %d bytes", n, maxHeaderBytes)
	}
	if rest := uint64(size - lengthBytes); n > rest {
		return 0, fault("", ErrCorrupt, "header length %d, but only %d bytes follow it", n, rest)
	}
	return int64(n), nil
}

// parse checks the JSON text of a file in which size bytes follow it. Every
// error is an *Error without File.
func parse(raw []byte, size int64) (*header, *Error) {
	h := &header{raw: raw, size: size}
	if err := h.parseJSON(); err != nil {
		return nil, err
	}
	if err := h.checkLayout(); err != nil {
		return nil, err
	}
	return h, nil
}

// parseJSON reads the header by tokens: decoding into a struct would accept
// keys in another case. If a tensor is named twice, the last entry counts, as
// in the reference implementation.
func (h *header) parseJSON() *Error {
	if text := bytes.TrimLeft(h.raw, " \t\r\n"); len(text) == 0 || text[0] != '{' {
		return fault("", ErrCorrupt, "header does not start with '{'")
	}
	if !utf8.Valid(h.raw) {
		return fault("", ErrCorrupt, "header is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(h.raw))
	dec.UseNumber()
	seen := make(map[string]int) // into spans
	err := object(dec, func(name string) *Error {
		at, dup := seen[name]
		if !dup {
			seen[name] = len(h.spans)
		}
		if name == metadataKey {
			if dup {
				return fault(name, ErrCorrupt, "key appears twice in the header")
			}
			return h.parseMetadata(dec)
		}
		s, err := parseSpan(dec, name)
		if err != nil {
			err.Tensor = name
			return err
		}
		if dup {
			h.spans[at] = s
			return nil
		}
		h.spans = append(h.spans, s)
		return nil
	})
	if err != nil {
		return err
	}
	if tail := bytes.TrimRight(h.raw[dec.InputOffset():], " \t\r\n"); len(tail) != 0 {
		return fault("", ErrCorrupt, "header continues after its closing brace with %s", quote(string(tail[:min(len(tail), 32)])))
	}
	return nil
}

func (h *header) parseMetadata(dec *json.Decoder) *Error {
	h.metadata = make(map[string]string)
	return objectOrNull(dec, func(key string) *Error {
		tok, err := dec.Token()
		if err != nil {
			return badJSON("", err)
		}
		value, ok := tok.(string)
		if !ok {
			return fault("", ErrCorrupt, "%s key %s is not a string", metadataKey, quote(key))
		}
		h.metadata[key] = value
		return nil
	})
}

// parseSpan reads {"dtype": string, "shape": [int...], "data_offsets": [begin,
// end]}. Like the reference implementation it skips other keys.
func parseSpan(dec *json.Decoder, name string) (span, *Error) {
	s := span{name: name}
	seen := make(map[string]struct{}, 3)
	err := object(dec, func(key string) *Error {
		switch key {
		case "dtype", "shape", "data_offsets":
			if _, dup := seen[key]; dup {
				return fault(name, ErrCorrupt, "key %s appears twice", quote(key))
			}
			seen[key] = struct{}{}
		}
		switch key {
		case "dtype":
			tok, err := dec.Token()
			if err != nil {
				return badJSON(name, err)
			}
			text, ok := tok.(string)
			if !ok {
				return fault(name, ErrCorrupt, "dtype is not a string")
			}
			s.dtype = DType(text)
		case "shape":
			var err *Error
			s.shape, err = integers(dec, name, key)
			return err
		case "data_offsets":
			offsets, err := integers(dec, name, key)
			if err != nil {
				return err
			}
			if len(offsets) != 2 {
				return fault(name, ErrCorrupt, "data_offsets has %d numbers, not 2", len(offsets))
			}
			s.begin, s.end = offsets[0], offsets[1]
		default:
			return skipValue(dec, name)
		}
		return nil
	})
	if err != nil {
		return span{}, err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if _, ok := seen[key]; !ok {
			return span{}, fault(name, ErrCorrupt, "key %q is missing", key)
		}
	}
	return s, nil
}

// checkLayout checks every span against its shape and against the data, sorts
// them by offset, and refuses overlaps, holes and trailing bytes.
func (h *header) checkLayout() *Error {
	size := h.size
	for _, s := range h.spans {
		want, err := byteSize(s.dtype, s.shape)
		if err != nil {
			return sizeFault(s.name, err)
		}
		switch {
		case s.begin > s.end:
			return fault(s.name, ErrCorrupt, "data_offsets [%d, %d] end before they begin", s.begin, s.end)
		case s.end > size:
			return fault(s.name, ErrCorrupt, "data_offsets [%d, %d] leave the file's %d data bytes", s.begin, s.end, size)
		case want != unknownSize && s.end-s.begin != want:
			return fault(s.name, ErrCorrupt, "data_offsets [%d, %d] span %d bytes, but %s%v takes %d",
				s.begin, s.end, s.end-s.begin, s.dtype, s.shape, want)
		}
	}
	slices.SortFunc(h.spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	covered, last := int64(0), ""
	for _, s := range h.spans {
		if s.begin < covered {
			return fault(s.name, ErrCorrupt, "overlaps tensor %s: begins at %d, before %d", quote(last), s.begin, covered)
		}
		if s.begin > covered {
			return fault(s.name, ErrCorrupt, "bytes %d to %d before it belong to no tensor", covered, s.begin)
		}
		covered, last = s.end, s.name
	}
	if covered != size {
		return fault("", ErrCorrupt, "%d trailing bytes belong to no tensor", size-covered)
	}
	return nil
}

// objectOrNull is object for a value that may be null, which has no keys.
func objectOrNull(dec *json.Decoder, value func(key string) *Error) *Error {
	tok, err := dec.Token()
	if err != nil {
		return badJSON("", err)
	}
	if tok == nil {
		return nil
	}
	return objectFrom(tok, dec, value)
}

// object reads one JSON object and calls value for each key, with the decoder
// before the key's value.
func object(dec *json.Decoder, value func(key string) *Error) *Error {
	tok, err := dec.Token()
	if err != nil {
		return badJSON("", err)
	}
	return objectFrom(tok, dec, value)
}

// objectFrom is object after its first token.
func objectFrom(tok json.Token, dec *json.Decoder, value func(key string) *Error) *Error {
	if tok != json.Delim('{') {
		return fault("", ErrCorrupt, "header has %v where an object belongs", tok)
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return badJSON("", err)
		}
		key, ok := tok.(string)
		if !ok {
			return fault("", ErrCorrupt, "header has %v where a key belongs", tok)
		}
		if err := value(key); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return badJSON("", err)
	}
	return nil
}

// skipValue reads past one JSON value.
func skipValue(dec *json.Decoder, name string) *Error {
	for depth := 0; ; {
		tok, err := dec.Token()
		if err != nil {
			return badJSON(name, err)
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// integers reads a JSON array of integers from 0 to 2^63-1.
func integers(dec *json.Decoder, name, key string) ([]int64, *Error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, badJSON(name, err)
	}
	if tok != json.Delim('[') {
		return nil, fault(name, ErrCorrupt, "%s is not an array", key)
	}
	out := []int64{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, badJSON(name, err)
		}
		number, ok := tok.(json.Number)
		if !ok {
			return nil, fault(name, ErrCorrupt, "%s has %v where a number belongs", key, tok)
		}
		n, err := strconv.ParseInt(number.String(), 10, 64)
		if err != nil || n < 0 {
			return nil, fault(name, ErrCorrupt, "%s has %s, which is no integer from 0 to 2^63-1", key, number)
		}
		out = append(out, n)
	}
	if _, err := dec.Token(); err != nil {
		return nil, badJSON(name, err)
	}
	return out, nil
}

func badJSON(tensor string, err error) *Error {
	return fault(tensor, ErrCorrupt, "header is not valid JSON: %v", err)
}

// sizeFault turns an error of byteSize into a fault of one tensor.
func sizeFault(name string, err error) *Error {
	sentinel := ErrCorrupt
	if errors.Is(err, ErrUnsupported) {
		sentinel = ErrUnsupported
	}
	return &Error{Tensor: name, Reason: err.Error(), Err: sentinel}
}

// quote quotes a name that came from a file, cut to a readable length.
func quote(s string) string {
	const limit = 200
	if len(s) > limit {
		return strconv.Quote(s[:limit]) + "..."
	}
	return strconv.Quote(s)
}
