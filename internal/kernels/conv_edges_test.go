package kernels

import (
	"math/rand/v2"
	"testing"
)

// around are the numbers of columns next to whole panels and to what kernels
// take of them at a time.
var around = []int{1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 80, 97}

// Every height of a tile, the tiles before and after it, every number of panels.
func TestConv2DAroundTileEdges(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(65, 66))
		for _, out := range around {
			for pixels := 1; pixels <= 26; pixels++ {
				s := simple(1, 1, 1+rng.IntN(9), out, 1, 1, 0)
				s.W = pixels
				c := newConv(rng, s, pixels%2 == 0, pixels%3 == 0, pixels%5 == 0)
				c.check(t, c.all())
			}
		}
	})
}

// Segments of every length around a turn of the loop, from the image and from
// the edge buffer.
func TestConv2DAroundSegmentEdges(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(67, 68))
		for channels := 1; channels <= 41; channels++ {
			c := newConv(rng, simple(1, 5, channels, 35, 2, 1, 1), true, false, true)
			c.check(t, c.all())
		}
	})
}

func TestDepthwiseAroundTileEdges(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(69, 70))
		for _, channels := range append(around, 2, 7, 8, 9, 113, 129) {
			for pixels := 1; pixels <= 10; pixels++ {
				s := grouped(simple(1, 3, channels, channels, 3, 1, 1), channels)
				s.W = pixels
				c := newConv(rng, s, pixels%2 == 0, pixels%3 == 0, pixels%5 == 0)
				c.check(t, c.all())
			}
		}
	})
}

func TestWinogradAroundTileEdges(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(71, 72))
		for _, out := range around {
			for _, channels := range []int{16, 17, 24, 31, 32, 33} {
				s := simple(1, 1+rng.IntN(9), channels, out, 3, 1, 1)
				s.W = 1 + rng.IntN(50)
				c := newConv(rng, s, out%2 == 0, channels%2 == 0, channels%3 == 0)
				c.check(t, c.all())
			}
		}
	})
}
