package peers

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestList allows what is listed and nothing else.
func TestList(t *testing.T) {
	l, err := ParseList([]string{"Worker-2:7070", "[fd00::1]:7", "10.1.0.0/16", "192.168.7.9/24:7070", "fd12::/16:7071", " a:1"})
	require.NoError(t, err)
	require.False(t, l.Empty())
	for address, ok := range map[string]bool{
		"tcp://worker-2:7070": true, "grpc://WORKER-2:7070": true, "tcp://worker-2:7071": false, "tcp://worker-2.evil:7070": false,
		"tcp://[fd00::1]:7": true, "tcp://[fd00::1]:8": false, "tcp://[fd00::1%25eth0]:7": false,
		"tcp://10.1.2.3:22": true, "tcp://10.2.0.1:22": false, "tcp://[::ffff:10.1.2.3]:5": true,
		"tcp://192.168.7.200:7070": true, "tcp://192.168.7.200:7071": false, "tcp://192.168.8.1:7070": false,
		"tcp://[fd12::9]:7071": true, "tcp://[fd12::9%25eth0]:7071": false, "tcp://a:1": true,
		"tcp://0300.0250.7.9:7070": false, "tcp://3232237321:7070": false, "tcp://10.1.2.3:070000": false,
		"http://10.1.2.3:80": false, "tcp://10.1.2.3": false, "tcp://u:p@10.1.2.3:80": false, "10.1.2.3:80": false, "tcp://10.1.2.3:80?x": false, "": false,
	} {
		_, _, err := l.check(address)
		if ok {
			require.NoError(t, err, address)
		} else {
			require.ErrorIs(t, err, transport.ErrNoPeer, address)
		}
	}
	for _, bad := range []string{"", "x", ":1", "x:0", "x:70000", "x:http", "10.0.0.0/33", "x/8", "10.0.0.0/8:", "10.0.0.0/8:0", "tcp://a:1"} {
		_, err := ParseList([]string{bad})
		require.Error(t, err, bad)
	}
	var none List
	require.True(t, none.Empty())
	_, _, err = none.check("tcp://127.0.0.1:1")
	require.ErrorIs(t, err, transport.ErrNoPeer)
}

// TestUnreachable dials receivers that are not there: each call ends in time, and no
// connection is retained.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr().String()
	require.NoError(t, l.Close())
	allow, err := ParseList([]string{"127.0.0.0/8"})
	require.NoError(t, err)
	p := New(Options{Allow: allow})
	p.Count(&transport.Ledger{})
	v := transport.Tensor{DType: plan.F32, Shape: []int{1}, Data: make([]byte, 4)}
	for _, scheme := range []string{"tcp://", "grpc://"} {
		err = p.Deliver(t.Context(), transport.Ticket{Address: scheme + nobody, Size: 4}, v)
		require.ErrorIs(t, err, transport.ErrNoPeer)
	}
	require.Zero(t, p.Open())

	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts nothing
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = p.Deliver(ctx, transport.Ticket{Address: "tcp://" + silent.Addr().String(), Size: 4}, v)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, silent.Close())
	require.NoError(t, p.Close())
	require.ErrorIs(t, p.Deliver(t.Context(), transport.Ticket{Address: "tcp://" + nobody, Size: 4}, v), transport.ErrClosed)
}

// TestPeersLimit keeps no more connections than it may: an idle one goes for another,
// and while all are in use there is no other.
func TestPeersLimit(t *testing.T) {
	p := New(Options{})
	var last *peer
	for i := range maxPeers {
		c, idle, begun, err := p.find(string(rune('a' + i)))
		require.NoError(t, err)
		require.Nil(t, idle)
		require.True(t, begun)
		close(c.ready)
		last = c
	}
	_, _, _, err := p.find("one more")
	require.ErrorIs(t, err, transport.ErrLimit)
	p.leave(last)
	c, idle, _, err := p.find("one more")
	require.NoError(t, err)
	require.Same(t, last, idle)
	close(c.ready)
	require.NoError(t, p.Close())
	p.leave(c)
}
