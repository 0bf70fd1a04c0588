// Package npy reads and writes arrays in NumPy's .npy format, version 1.0 to 3.0
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html):
//
//	6 bytes   0x93 "NUMPY"
//	2 bytes   version
//	2 or 4    length of the header, little endian
//	header    a Python dictionary: descr, fortran_order, shape
//	rest      the elements, row major
//
// The header is read by a parser of its own for the dictionaries that NumPy writes;
// nothing is evaluated. Element types are those that programs compute with: float32,
// int32, int64 and bool.
package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// ErrFormat marks a file that is no .npy file, or one of a kind that is not read.
var ErrFormat = errors.New("genie: not a readable .npy file")

const (
	magic     = "\x93NUMPY"
	maxHeader = 1 << 16
)

// descrs are the element types, as a header names them.
var descrs = map[string]plan.DType{
	"<f4": plan.F32, "<i4": plan.I32, "<i8": plan.I64, "|b1": plan.Bool,
}

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}

// Read reads an array of at most limit bytes of elements.
func Read(r io.Reader, limit int64) (transport.Tensor, error) {
	var none transport.Tensor
	header, err := readHeader(r)
	if err != nil {
		return none, err
	}
	t, err := parseHeader(header)
	if err != nil {
		return none, err
	}
	size := int64(t.DType.Size())
	for _, n := range t.Shape {
		if n != 0 && size > math.MaxInt64/int64(n) {
			return none, bad("shape %d", t.Shape)
		}
		size *= int64(n)
	}
	if size > limit {
		return none, bad("%d bytes of elements, the limit is %d", size, limit)
	}
	// The buffer grows with what is there, so that a false shape takes no memory.
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, size))
	if err != nil {
		return none, err //nolint:wrapcheck // the reader's
	}
	if n < size {
		return none, bad("it has %d bytes of elements for %v%d, which takes %d", n, t.DType, t.Shape, size)
	}
	if extra, _ := io.ReadFull(r, make([]byte, 1)); extra > 0 {
		return none, bad("there is more after %d bytes of elements", size)
	}
	t.Data = b.Bytes()
	for i, v := range t.Data {
		if t.DType == plan.Bool && v > 1 {
			return none, bad("element %d is %d, not a boolean", i, v)
		}
	}
	return t, nil
}

func readHeader(r io.Reader) (string, error) {
	var head [10]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || string(head[:6]) != magic {
		return "", bad("it does not begin as one")
	}
	n := int(binary.LittleEndian.Uint16(head[8:]))
	switch head[6] {
	case 1:
	case 2, 3:
		var more [2]byte
		if _, err := io.ReadFull(r, more[:]); err != nil {
			return "", bad("the header is cut short")
		}
		n += int(binary.LittleEndian.Uint16(more[:])) << 16
	default:
		return "", bad("version %d.%d of the format", head[6], head[7])
	}
	if n > maxHeader {
		return "", bad("a header of %d bytes, the limit is %d", n, maxHeader)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", bad("the header is cut short")
	}
	return string(b), nil
}

// parseHeader reads a dictionary such as
// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }.
func parseHeader(h string) (transport.Tensor, error) {
	var t transport.Tensor
	h = strings.TrimSpace(h)
	if !strings.HasPrefix(h, "{") || !strings.HasSuffix(h, "}") {
		return t, bad("the header %.80q", h)
	}
	rest := strings.TrimSpace(h[1 : len(h)-1])
	seen := map[string]bool{}
	for rest != "" {
		key, after, ok := quoted(rest)
		after, colon := strings.CutPrefix(strings.TrimSpace(after), ":")
		if !ok || !colon || seen[key] {
			return t, bad("the header %.80q", h)
		}
		seen[key] = true
		var err error
		rest, err = field(&t, key, strings.TrimSpace(after))
		if err != nil {
			return t, err
		}
		if rest = strings.TrimSpace(rest); rest != "" {
			if rest, ok = strings.CutPrefix(rest, ","); !ok {
				return t, bad("the header %.80q", h)
			}
			rest = strings.TrimSpace(rest)
		}
	}
	if !seen["descr"] || !seen["fortran_order"] || !seen["shape"] {
		return t, bad("the header %.80q lacks descr, fortran_order or shape", h)
	}
	return t, nil
}

// quoted cuts a string in quotes off.
func quoted(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return "", s, false
	}
	end := strings.IndexByte(s[1:], s[0])
	if end < 0 {
		return "", s, false
	}
	return s[1 : 1+end], s[2+end:], true
}

func field(t *transport.Tensor, key, s string) (rest string, err error) {
	switch key {
	case "descr":
		name, rest, ok := quoted(s)
		if !ok {
			return "", bad("elements of several fields")
		}
		if t.DType, ok = descrs[name]; !ok {
			return "", bad("elements of type %q; read are float32 (<f4), int32 (<i4), int64 (<i8) and bool (|b1)", name)
		}
		return rest, nil
	case "fortran_order":
		rest, ok := strings.CutPrefix(s, "False")
		if !ok {
			return "", bad("the order is not row-major: save numpy.ascontiguousarray of it")
		}
		return rest, nil
	case "shape":
		return shape(t, s)
	}
	return "", bad("the header has a field %.40q", key)
}

func shape(t *transport.Tensor, s string) (rest string, err error) {
	end := strings.IndexByte(s, ')')
	if end < 0 || s[0] != '(' {
		return "", bad("the shape %.40q", s)
	}
	t.Shape = []int{}
	for n := range strings.SplitSeq(s[1:end], ",") {
		if n = strings.TrimSpace(n); n == "" {
			continue
		}
		v, err := strconv.ParseUint(n, 10, 62)
		if err != nil || len(t.Shape) == plan.MaxRank || v > plan.MaxDimSize {
			return "", bad("the shape %.80q", s[:end+1])
		}
		t.Shape = append(t.Shape, int(v))
	}
	return s[end+1:], nil
}

// Write writes an array, in version 1.0 of the format.
func Write(w io.Writer, t transport.Tensor) error {
	name := ""
	for n, dt := range descrs {
		if dt == t.DType {
			name = n
		}
	}
	if name == "" {
		return bad("elements of type %v", t.DType)
	}
	dims := make([]string, len(t.Shape))
	for i, n := range t.Shape {
		dims[i] = strconv.Itoa(n)
	}
	list := strings.Join(dims, ", ")
	if len(dims) == 1 {
		list += ","
	}
	h := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", name, list)
	// The elements begin at a multiple of 64, and the header ends in a newline.
	h += strings.Repeat(" ", 63-(10+len(h))%64) + "\n"
	head := binary.LittleEndian.AppendUint16([]byte(magic+"\x01\x00"), uint16(len(h)))
	if _, err := w.Write(append(head, h...)); err != nil {
		return err //nolint:wrapcheck // the writer's
	}
	_, err := w.Write(t.Data)
	return err //nolint:wrapcheck // the writer's
}
