package pyjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"os"
	"strings"
)

// ErrType marks a key whose value has the wrong type.
var ErrType = errors.New("genie: JSON value of the wrong type")

// Object is a JSON object. The values of its keys are parsed only when they are
// read.
type Object map[string]json.RawMessage

// Parse reads an object. If a key occurs twice, the last one counts, as in
// Python. The error wraps [ErrSyntax] or [ErrType].
func Parse(text []byte) (Object, error) {
	text, err := Clean(text)
	if err != nil {
		return nil, err
	}
	var o Object
	if err := json.Unmarshal(text, &o); err != nil || o == nil {
		return nil, fmt.Errorf("%w: %s is no object", ErrType, short(text))
	}
	return o, nil
}

// ReadFile reads the object in a regular file of at most limit bytes. The error
// is the system's, or that of [Parse] with the file's name.
func ReadFile(path string, limit int64) (Object, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrSyntax, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", ErrSyntax, path, limit)
	}
	o, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return o, nil
}

// Given reports whether the key is present and not null.
func (o Object) Given(key string) bool {
	raw, ok := o[key]
	return ok && string(raw) != "null"
}

// Truthy reports whether the key holds what Python counts as true.
func (o Object) Truthy(key string) bool {
	if !o.Given(key) {
		return false
	}
	switch raw := string(o[key]); raw {
	case "false", `""`:
		return false
	default:
		if n, ok := Number(o[key]); ok {
			return n != 0
		}
		return strings.Trim(raw, "[]{} \t\r\n") != ""
	}
}

// Reader returns a reader of the object's keys.
func (o Object) Reader() *Reader { return &Reader{object: o} }

// Reader reads values of an object. A key that is absent or null leaves the
// target unchanged. The first error sticks; it names the key.
type Reader struct {
	object Object
	within string // prefix of the keys' names in errors
	err    error
}

// Err is the first error. It wraps [ErrType].
func (r *Reader) Err() error { return r.err }

// Within makes errors about a key of a nested object name what it is nested in.
func (r *Reader) Within(prefix string) *Reader {
	r.within = prefix
	return r
}

// read calls take with the value of a key, unless that is absent or null.
func (r *Reader) read(key, want string, take func(raw json.RawMessage) bool) {
	if r.err == nil && r.object.Given(key) && !take(r.object[key]) {
		r.err = fmt.Errorf("%w: %s%s is %s, not %s", ErrType, r.within, key, short(r.object[key]), want)
	}
}

// Int reads an integer. Numbers such as 50257.0 or 1e3 count as integers.
func (r *Reader) Int(key string, to *int) {
	r.read(key, "an integer", func(raw json.RawMessage) bool {
		n, ok := Integer(raw)
		if ok {
			*to = n
		}
		return ok
	})
}

// Ints reads a list of integers.
func (r *Reader) Ints(key string, to *[]int) {
	r.read(key, "a list of integers", func(raw json.RawMessage) bool {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil || list == nil {
			return false
		}
		out := make([]int, len(list))
		for i, item := range list {
			n, ok := Integer(item)
			if !ok {
				return false
			}
			out[i] = n
		}
		*to = out
		return true
	})
}

// Float reads a number, NaN and infinities included.
func (r *Reader) Float(key string, to *float64) {
	r.read(key, "a number", func(raw json.RawMessage) bool {
		x, ok := Number(raw)
		if ok {
			*to = x
		}
		return ok
	})
}

// Bool reads true or false.
func (r *Reader) Bool(key string, to *bool) {
	r.read(key, "true or false", func(raw json.RawMessage) bool { return json.Unmarshal(raw, to) == nil })
}

// String reads a string.
func (r *Reader) String(key string, to *string) {
	r.read(key, "a string", func(raw json.RawMessage) bool { return json.Unmarshal(raw, to) == nil })
}

// Strings reads a list of strings.
func (r *Reader) Strings(key string, to *[]string) {
	r.read(key, "a list of strings", func(raw json.RawMessage) bool { return json.Unmarshal(raw, to) == nil })
}

// Object reads a nested object; it is nil where the key is absent or null.
func (r *Reader) Object(key string) (o Object) {
	r.read(key, "an object", func(raw json.RawMessage) bool { return json.Unmarshal(raw, &o) == nil })
	return o
}

// Number returns the number that raw is, and false for anything else.
func Number(raw json.RawMessage) (float64, bool) {
	var x float64
	if len(raw) == 0 || string(raw) == "null" {
		return 0, false
	}
	err := json.Unmarshal(raw, &x)
	if err == nil {
		return x, true
	}
	if raw[0] == '{' {
		var tagged map[string]string
		if json.Unmarshal(raw, &tagged) != nil || len(tagged) != 1 {
			return 0, false
		}
		switch tagged["__float__"] {
		case "NaN":
			return math.NaN(), true
		case "Infinity":
			return math.Inf(1), true
		case "-Infinity":
			return math.Inf(-1), true
		}
		return 0, false
	}
	// A number beyond float64, which Python reads as an infinity.
	if f, _, err := big.ParseFloat(string(raw), 10, 64, big.ToNearestEven); err == nil {
		x, _ := f.Float64()
		return x, true
	}
	return 0, false
}

// Integer returns the integer that raw is, and false for anything else and for
// an integer that a float64 does not represent exactly.
func Integer(raw json.RawMessage) (int, bool) {
	const most = 1 << 53 // up to here a float64 is exact
	x, ok := Number(raw)
	if !ok || x != math.Trunc(x) || math.Abs(x) > most {
		return 0, false
	}
	return int(x), true
}

// short is a value of a file as shown in an error.
func short(raw []byte) string {
	const most = 60
	if len(raw) > most {
		return string(raw[:most]) + "..."
	}
	return string(raw)
}
