package link

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// script is a random life of a connection.
type script struct {
	profile Profile
	seed    uint64
	r       *rand.Rand
	data    []byte
	reads   int  // bytes of the peer's buffer
	abrupt  bool // the peer goes away in the middle
}

// play writes the data in random pieces, by all ways of writing, and returns
// what arrived.
func (s script) play(t *testing.T) (got []byte) {
	synctest.Test(t, func(t *testing.T) {
		l := virtual(s.profile, s.seed)
		a, b := memPipe(s.reads)
		c := l.Client(a)
		var peer sync.WaitGroup
		peer.Go(func() {
			buf := make([]byte, 1+s.r.IntN(1<<16))
			stop := len(s.data) + 1
			if s.abrupt {
				stop = len(s.data) / 2
			}
			for len(got) < stop {
				n, err := b.Read(buf)
				got = append(got, buf[:n]...)
				if err != nil {
					break
				}
			}
			_ = b.Close()
		})
		r := rand.New(rand.NewPCG(s.seed, 1))
		for left := s.data; len(left) > 0; {
			n := min(len(left), 1+r.IntN(1+r.IntN(1<<18)))
			var err error
			switch k := r.IntN(n + 1); r.IntN(4) {
			case 0:
				_, err = c.(io.ReaderFrom).ReadFrom(bytes.NewReader(left[:n]))
			case 1:
				_, err = c.(interface {
					WriteBuffers(v *net.Buffers) (int64, error)
				}).WriteBuffers(&net.Buffers{left[:k], left[k:n]})
			case 2:
				<-time.After(time.Duration(r.Int64N(int64(time.Millisecond))))
				fallthrough
			default:
				_, err = c.Write(left[:n])
			}
			if s.abrupt && err != nil {
				break
			}
			require.NoError(t, err)
			left = left[n:]
		}
		if r.IntN(2) == 0 {
			_ = c.(closeWriter).CloseWrite()
		}
		finish(c)
		peer.Wait()
	})
	return got
}

// TestEverythingArrives holds, for random links, pieces and closes, that what
// was written arrives in order and complete, or a beginning of it when the peer
// has gone.
func TestEverythingArrives(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for i := range 80 {
		s := script{seed: uint64(i), r: rand.New(rand.NewPCG(uint64(i), 0)), data: make([]byte, r.IntN(2<<20))}
		for j := range s.data {
			s.data[j] = byte(r.Uint32())
		}
		s.profile = Profile{
			Rate:   []int64{0, 5e6, 100e6, 1e9, 10e9, 1e12}[r.IntN(6)],
			RTT:    time.Duration(r.Int64N(int64(30 * ms))),
			Jitter: time.Duration(r.IntN(2)) * 3 * ms,
			Burst:  r.IntN(2) * r.IntN(1<<20),
		}
		s.reads = []int{1000, 1 << 16, plenty}[r.IntN(3)]
		s.abrupt = i%5 == 4
		got := s.play(t)
		if s.abrupt {
			require.True(t, bytes.HasPrefix(s.data, got), "script %d", i)
			require.GreaterOrEqual(t, len(got), len(s.data)/2, "script %d", i)
			continue
		}
		require.True(t, bytes.Equal(s.data, got), "script %d: %d bytes of %d", i, len(got), len(s.data))
	}
}

func FuzzEverythingArrives(f *testing.F) {
	f.Add(uint64(1), int64(1e9), uint32(500), uint32(0), uint32(0), uint32(100_000), false)
	f.Add(uint64(2), int64(0), uint32(0), uint32(900), uint32(1), uint32(70_000), true)
	f.Add(uint64(3), int64(1e6), uint32(20_000), uint32(5), uint32(1<<20), uint32(1<<20), false)
	f.Fuzz(func(t *testing.T, seed uint64, rate int64, rttUs, jitterUs, burst, n uint32, abrupt bool) {
		if rate != 0 {
			rate = minRate*1000 + (rate&1<<62-1)%int64(maxRate)
		}
		s := script{seed: seed, r: rand.New(rand.NewPCG(seed, 0)), data: make([]byte, n%(1<<21)), reads: 1 << 14, abrupt: abrupt}
		for i := range s.data {
			s.data[i] = byte(i*31 + i>>8)
		}
		s.profile = Profile{
			Rate: rate, RTT: time.Duration(rttUs%1e6) * us, Jitter: time.Duration(jitterUs%1e5) * us, Burst: int(burst % (1 << 24)),
		}
		got := s.play(t)
		if abrupt {
			require.True(t, bytes.HasPrefix(s.data, got))
			return
		}
		require.True(t, bytes.Equal(s.data, got))
	})
}
