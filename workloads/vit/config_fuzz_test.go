package vit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParseConfig: a config is refused with [ErrConfig], or has sizes from
// which a program can be made.
func FuzzParseConfig(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `{"image_size":[32,24],"patch_size":8}`, `{"hidden_size":-1}`, `{"head_dim":9223372036854775807}`, `{"num_labels":3,"id2label":{"0":"a"}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig(text)
		if err != nil {
			require.ErrorIs(t, err, ErrConfig)
			return
		}
		require.Positive(t, c.Patches())
		require.Positive(t, c.HeadDim)
		require.Positive(t, c.Classes())
		again, err := ParseConfig(text)
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
