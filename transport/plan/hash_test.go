package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHashText(t *testing.T) {
	h := HashEncoded([]byte("a plan"))
	text, err := h.MarshalText()
	require.NoError(t, err)
	var back Hash
	require.NoError(t, back.UnmarshalText(text))
	require.Equal(t, h, back)
	for _, bad := range []string{"", "00", string(text) + "00", "zz" + string(text[2:])} {
		require.ErrorIs(t, back.UnmarshalText([]byte(bad)), ErrInvalid)
	}
}
