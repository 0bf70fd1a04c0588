package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport/credentials"
)

// TestPeerFlags verifies that wrong flags about other workers are refused before
// anything is bound.
func TestPeerFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		o    peerFlags
		want string
	}{
		"none":              {peerFlags{}, ""},
		"a list":            {peerFlags{list: []string{"worker-2:7070", "10.0.0.0/8", "fd00::/8:7070"}}, ""},
		"not an address":    {peerFlags{list: []string{"worker-2"}}, `"worker-2"`},
		"a URL":             {peerFlags{list: []string{"tcp://worker-2:7070"}}, "--peers"},
		"a token for none":  {peerFlags{tokenFile: "token"}, "need --peers"},
		"half a pair":       {peerFlags{list: []string{"a:1"}, files: credentials.Files{Cert: "c.pem"}}, "together"},
		"advertised":        {peerFlags{advertise: "grpc://10.0.0.7:7071"}, ""},
		"advertised badly":  {peerFlags{advertise: "10.0.0.7:7071"}, "--advertise"},
		"advertised a path": {peerFlags{advertise: "tcp://10.0.0.7:7071/x"}, "--advertise"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.o.check()
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestCPUs(t *testing.T) {
	for text, want := range map[string][]int{"0": {0}, "0,2-3": {0, 2, 3}, "7-7": {7}} {
		got, err := parseCPUs(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "a", "-1", "3-1", "1024", "0-9999999", "0,", "0,,1", "0-1-2"} {
		_, err := parseCPUs(text)
		require.ErrorContains(t, err, "--cpus", text)
	}
}
