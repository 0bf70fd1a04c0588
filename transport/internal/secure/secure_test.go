package secure

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTokenOverTheNetwork sends a token where it cannot be overheard, and
// elsewhere only when told to.
func TestTokenOverTheNetwork(t *testing.T) {
	near, far := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}
	files := &credentials.Files{}
	for _, tt := range []struct {
		name  string
		given credentials.Client
		to    net.Addr
		sent  bool
	}{
		{"to this machine", credentials.Client{Token: "secret"}, near, true},
		{"through a socket of this machine", credentials.Client{Token: "secret"}, &net.UnixAddr{Name: "/run/genie"}, true},
		{"over the network", credentials.Client{Token: "secret"}, far, false},
		{"somewhere", credentials.Client{Token: "secret"}, nil, false},
		{"over the network, insecure", credentials.Client{Token: "secret", Insecure: true}, far, true},
		{"over the network in TLS", credentials.Client{Token: "secret", Files: files}, far, true},
		{"none", credentials.Client{}, far, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := New(tt.given)
			require.NoError(t, err)
			token, err := c.Token(tt.to)
			if !tt.sent {
				require.ErrorIs(t, err, transport.ErrUnauthenticated)
				require.NotContains(t, err.Error(), "secret")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.given.Token, token)
		})
	}
	var none *Client
	token, err := none.Token(far)
	require.NoError(t, err)
	require.Empty(t, token)
	require.False(t, none.TLS())
}

func TestTokenLimits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	long := strings.Repeat("t", credentials.MaxToken)
	for name, tt := range map[string]struct {
		text string
		want string // empty: refused
	}{
		"space around it": {" secret \n", "secret"},
		"longest":         {long + "\n", long},
		"one too long":    {long + "t", ""},
		"far too long":    {long + long, ""},
		"empty":           {"\n", ""},
		"two lines":       {"a\nb", ""},
		"not text":        {"a\x00b", ""},
	} {
		require.NoError(t, os.WriteFile(path, []byte(tt.text), 0o600))
		token, err := credentials.ReadToken(path)
		require.Equal(t, tt.want, token, name)
		require.Equal(t, tt.want == "", err != nil, name)
		if err != nil {
			require.NotContains(t, err.Error(), "tttt", name)
		}
	}
	_, err := New(credentials.Client{Token: "a", TokenFile: path})
	require.Error(t, err)
	_, err = New(credentials.Client{Token: long + "t"})
	require.Error(t, err)
}
