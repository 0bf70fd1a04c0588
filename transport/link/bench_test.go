package link

import (
	"io"
	"sync"
	"testing"

	"github.com/genie-sdk/go/internal/benchname"
)

// BenchmarkTransfer is how much of its rate a link carries between two sockets
// of this machine; loopback is what the machine itself can do.
func BenchmarkTransfer(b *testing.B) {
	for _, name := range append(Names(), "1t-100us") {
		b.Run(benchname.Of("link-transfer", "link", "profile="+name), func(b *testing.B) {
			p := named(b, name)
			n := 64 << 20
			if p.Rate > 0 {
				n = min(n, int(p.Rate/8/4))
			}
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				transfer(b, New(p, 1), n)
			}
		})
	}
}

// BenchmarkRoundTrip is a small message there and back.
func BenchmarkRoundTrip(b *testing.B) {
	for _, name := range Names() {
		b.Run(benchname.Of("link-round-trip", "link", "profile="+name), func(b *testing.B) {
			trip := echoing(b, New(named(b, name), 1))
			for b.Loop() {
				trip()
			}
		})
	}
}

// echoing is a small message there and back over a link, until the benchmark
// ends.
func echoing(b *testing.B, l *Link) (trip func()) {
	c, w := sockets(b, l)
	var far sync.WaitGroup
	far.Go(func() { echo(w) })
	b.Cleanup(func() {
		finish(c)
		far.Wait()
	})
	message := make([]byte, 64)
	return func() {
		if _, err := c.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, message); err != nil {
			b.Fatal(err)
		}
	}
}
