package resnet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParseConfig: a config is refused with [ErrConfig], or reads as itself
// again.
func FuzzParseConfig(f *testing.F) {
	for _, text := range []string{`{}`, `[]`, `{"depths":[1,1],"hidden_sizes":[8,16]}`, `{"hidden_size":-1}`, `{"hidden_size":9223372036854775807}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig(text)
		if err != nil {
			require.ErrorIs(t, err, ErrConfig)
			return
		}
		again, err := ParseConfig(text)
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
