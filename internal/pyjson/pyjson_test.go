package pyjson_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/pyjson"
)

// TestClean verifies what json.loads of Python 3.11 takes and refuses.
func TestClean(t *testing.T) {
	for _, text := range []string{
		`{"a": NaN}`, `[NaN, Infinity, -Infinity]`, `NaN`, `{"a": {"b": [1, NaN]}}`, "\xef\xbb\xbf{}", ` {"a":1} `,
		`{"NaN": "Infinity \" NaN", "b": -1}`, `{"a":1,"a":2}`, `1e400`, `{"a":"\ud800"}`,
	} {
		_, err := pyjson.Clean([]byte(text))
		require.NoError(t, err, text)
	}
	for _, text := range []string{
		``, `{`, `{"a": nan}`, `{"a": Nan}`, `{"a": NaNx}`, `{"a": --Infinity}`, `{"a": +Infinity}`, `{"a": 1,}`, `{'a': 1}`,
		`{"a": "x`, `{"a\`, `{NaN: 1}`, `N`, `-`, `I`, `{"a": Infinity1}`,
	} {
		_, err := pyjson.Clean([]byte(text))
		require.ErrorIs(t, err, pyjson.ErrSyntax, text)
	}
	out, err := pyjson.Clean([]byte(`{"x": "NaN", "y": -Infinity}`))
	require.NoError(t, err)
	require.JSONEq(t, `{"x": "NaN", "y": {"__float__": "-Infinity"}}`, string(out))
}

func TestReader(t *testing.T) {
	o, err := pyjson.Parse([]byte(`{"i": 3, "f": 50257.0, "e": 1e3, "half": 2.5, "null": null, "s": "x", "b": true, "nan": NaN,
		"tag": {"__float__": "-Infinity"}, "l": [1, 2.0], "ls": ["a"], "o": {"k": 1}, "huge": 1e400, "big": 99999999999999999999, "I": 4}`))
	require.NoError(t, err)
	r := o.Reader()
	i, f, e, untouched := 0, 0, 0, 7
	r.Int("i", &i)
	r.Int("f", &f)
	r.Int("e", &e)
	r.Int("null", &untouched)
	r.Int("absent", &untouched)
	require.Equal(t, []int{3, 50257, 1000, 7}, []int{i, f, e, untouched})
	var x, tag, huge float64
	r.Float("nan", &x)
	r.Float("tag", &tag)
	r.Float("huge", &huge)
	require.True(t, math.IsNaN(x) && math.IsInf(tag, -1) && math.IsInf(huge, 1))
	var b bool
	var s string
	var l []int
	var ls []string
	r.Bool("b", &b)
	r.String("s", &s)
	r.Ints("l", &l)
	r.Strings("ls", &ls)
	require.Equal(t, []int{1, 2}, l)
	require.Equal(t, []string{"a"}, ls)
	require.True(t, b && s == "x" && r.Object("o").Given("k") && r.Object("null") == nil)
	require.NoError(t, r.Err())
	for _, key := range []string{"half", "s", "b", "nan", "l", "o", "huge", "big"} {
		r := o.Reader().Within("text_config.")
		r.Int(key, &i)
		r.Int("s", &i)
		require.ErrorIs(t, r.Err(), pyjson.ErrType, key)
		require.ErrorContains(t, r.Err(), "text_config."+key+" is ")
	}
	for key, want := range map[string]bool{"i": true, "null": false, "absent": false, "s": true, "b": true, "o": true, "l": true, "nan": true} {
		require.Equal(t, want, o.Truthy(key), key)
	}
	for _, falsy := range []string{`0`, `0.0`, `false`, `""`, `[]`, `{ }`, `null`} {
		o, err := pyjson.Parse([]byte(`{"k":` + falsy + `}`))
		require.NoError(t, err)
		require.False(t, o.Truthy("k"), falsy)
	}
	for _, text := range []string{`[]`, `null`, `3`, `"x"`} {
		_, err := pyjson.Parse([]byte(text))
		require.ErrorIs(t, err, pyjson.ErrType, text)
	}
}

// FuzzClean: what was cleaned is clean, and cleaning leaves it alone.
func FuzzClean(f *testing.F) {
	for _, text := range []string{`{"a": NaN}`, `[-Infinity,"NaN"]`, "\xef\xbb\xbf{}", `{"a": "\"NaN`, `-`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := pyjson.Clean(text)
		if err != nil {
			require.ErrorIs(t, err, pyjson.ErrSyntax)
			return
		}
		again, err := pyjson.Clean(out)
		require.NoError(t, err)
		require.Equal(t, out, again)
	})
}
