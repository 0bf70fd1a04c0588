package baselines_test

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/genie-sdk/go/baselines"
)

// reportLink compares a case's transfer rate with that of a raw socket that
// moves as many bytes, from memory to memory, at the same time and place.
func reportLink(b *testing.B, s *baselines.Samples) {
	b.Helper()
	per, rate := s.Transfers()
	if per == 0 {
		return
	}
	raw, err := rawSocketRate(per)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(rate, "link-B/s")
	b.ReportMetric(raw, "raw-B/s")
	b.ReportMetric(rate/raw, "link-frac")
}

// rawSocketRate is the rate of a loopback TCP connection between two goroutines
// that moves total bytes from one region into another, in bytes per second,
// over five runs. It does nothing else: no framing, no checksum.
func rawSocketRate(total int) (rate float64, err error) {
	src, dst := make([]byte, total), make([]byte, total)
	for i := 0; i < total; i += 4096 {
		src[i], dst[i] = 1, 2
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	const times = 5
	var spent time.Duration
	for range times {
		go func() {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Write(src)
		}()
		c, err := l.Accept()
		if err != nil {
			return 0, err
		}
		start := time.Now()
		_, err = io.ReadFull(c, dst)
		spent += time.Since(start)
		_ = c.Close()
		if err != nil {
			return 0, fmt.Errorf("raw socket: %w", err)
		}
	}
	return times * float64(total) / spent.Seconds(), nil
}
