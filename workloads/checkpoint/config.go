package checkpoint

import (
	"encoding/json"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/pyjson"
)

// Config is the object of a config.json, or one in it, by key. It is read as Python
// reads it: NaN and Infinity are numbers, keys are told apart by case, and the last
// of several equal keys counts. A value is parsed only when it is read, so keys that
// a family does not use may hold anything.
type Config map[string]json.RawMessage

// ParseConfig reads a config.json. Errors wrap [ErrSyntax] or [ErrType].
func ParseConfig(text []byte) (Config, error) {
	o, err := pyjson.Parse(text)
	return Config(o), err
}

// Given reports whether a key is present and not null.
func (c Config) Given(key string) bool { return pyjson.Object(c).Given(key) }

// Reader reads the values.
func (c Config) Reader() *Reader { return &Reader{pyjson.Object(c).Reader()} }

// Reader reads values of a [Config]. A key that is absent or null leaves the target
// unchanged. The first error sticks; it names the key.
type Reader struct{ r *pyjson.Reader }

// Err is the first error. It wraps [ErrType].
func (r *Reader) Err() error { return r.r.Err() }

// Bool reads true or false.
func (r *Reader) Bool(key string, to *bool) { r.r.Bool(key, to) }

// Float reads a number, NaN and infinities included.
func (r *Reader) Float(key string, to *float64) { r.r.Float(key, to) }

// Int reads an integer. Numbers such as 50257.0 or 1e3 count as integers.
func (r *Reader) Int(key string, to *int) { r.r.Int(key, to) }

// Ints reads a list of integers.
func (r *Reader) Ints(key string, to *[]int) { r.r.Ints(key, to) }

// String reads a string.
func (r *Reader) String(key string, to *string) { r.r.String(key, to) }

// Strings reads a list of strings.
func (r *Reader) Strings(key string, to *[]string) { r.r.Strings(key, to) }

// Object reads a nested object; nil where the key is absent or null.
func (r *Reader) Object(key string) Config { return Config(r.r.Object(key)) }

// Within makes errors about a key of a nested object name what it is nested in,
// such as "text_config.".
func (r *Reader) Within(prefix string) *Reader { return &Reader{r.r.Within(prefix)} }

// Integer is the integer that a value is, and false for anything else.
func Integer(raw json.RawMessage) (int, bool) { return pyjson.Integer(raw) }

// CheckType refuses a configuration of another type of model than types, which are
// names of transformers: related types have the same tensors but compute something
// else. One without model_type is judged by its architectures. CheckType also
// refuses what transformers would do to the weights of any model: quantisation, and
// layers with their own settings. The error wraps [ErrFamily] and names the key.
func CheckType(c Config, types ...string) error {
	return checkpoint.CheckType(pyjson.Object(c), types...)
}

// TypeOf is which of types a configuration that [CheckType] accepts is of.
func TypeOf(c Config, types ...string) string { return checkpoint.TypeOf(pyjson.Object(c), types...) }

// CheckCausal refuses an is_causal in a configuration, or in an object of it, that
// differs from what a family computes: transformers lets it change which tokens
// attend to which. where is the beginning of the key's name in the error, which
// wraps [ErrFamily].
func CheckCausal(c Config, where string, causal bool) error {
	return checkpoint.CheckCausal(pyjson.Object(c), where, causal)
}

// Labels are the names of a classifier's classes by their number in decimal, as
// transformers makes them of id2label and num_labels. The error wraps [ErrType] and
// names the key.
func Labels(c Config) (map[string]string, error) { return checkpoint.Labels(pyjson.Object(c)) }
