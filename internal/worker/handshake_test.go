package worker

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// TestHandshakeTime has peers that never finish their hello: silent ones, and
// one that sends a byte now and then.
func TestHandshakeTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		tls  bool
		slow bool
	}{{"silent", false, false}, {"slow", false, true}, {"silent in TLS", true, false}, {"slow in TLS", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := host.Open(engine.Options{Threads: 1})
			require.NoError(t, err)
			defer e.Close()
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{Engine: ForEngine(e)})
				if tt.tls {
					s.opts.TLS = &tls.Config{Certificates: []tls.Certificate{{}}}
				}
				near, far := net.Pipe()
				pipe, begin := s.secured(near)
				g, err := s.door.Enter("peer", func() { _ = near.Close() }, false)
				require.NoError(t, err)
				c, err := s.newConn(pipe, "peer", g)
				require.NoError(t, err)
				c.begin, c.alone = begin, true
				start := time.Now()
				go c.serve()
				var sending sync.WaitGroup
				if tt.slow {
					sending.Go(func() {
						text := "GNIE\x01\x01"
						if tt.tls {
							text = "\x16\x03\x01\x40\x00\x01"
						}
						for _, b := range []byte(text + strings.Repeat("\x00", 30)) {
							if _, err := far.Write([]byte{b}); err != nil {
								return
							}
							<-time.After(time.Second)
						}
					})
				}
				_, err = far.Read(make([]byte, 1))
				require.Error(t, err)
				require.LessOrEqual(t, time.Since(start), wire.HandshakeTimeout+goodbye)
				require.GreaterOrEqual(t, time.Since(start), wire.HandshakeTimeout)
				require.NoError(t, far.Close())
				sending.Wait()
				s.wg.Wait()
				require.NoError(t, s.Close())
			})
		})
	}
}

// TestErrorText cuts the words of an error, between characters.
func TestErrorText(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", wire.MaxErrorText), strings.Repeat("ü", wire.MaxErrorText), "\xff\xfe"} {
		m := errorMessage(errors.Join(transport.ErrShape, errors.New(text)))
		require.LessOrEqual(t, len(m.GetMessage()), wire.MaxErrorText)
		require.True(t, utf8.ValidString(m.GetMessage()))
	}
}
