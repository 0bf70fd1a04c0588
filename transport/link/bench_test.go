package link

import "testing"

// BenchmarkTransfer is how much of its rate a link carries between two sockets
// of this machine; loopback is what the machine itself can do.
func BenchmarkTransfer(b *testing.B) {
	for _, name := range append(Names(), "1t-100us") {
		b.Run("net="+name, func(b *testing.B) {
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
		b.Run("net="+name, func(b *testing.B) {
			p := named(b, name)
			for b.Loop() {
				median, _ := roundTrips(b, New(p, 1), 20)
				b.ReportMetric(float64(median.Microseconds()), "median-us")
			}
		})
	}
}
