package kernels

import "github.com/genie-sdk/go/internal/device/cuda/driver"

// fillWords mirrors FillWords of copy.cu.
type fillWords struct {
	y     driver.Ptr
	n     int64
	value uint32
	_     uint32
}

// Fill stores a 32-bit word n times from at on.
func (s *Set) Fill(st driver.Stream, at driver.Ptr, value uint32, n int) error {
	if n == 0 {
		return nil
	}
	return launch(s, st, "fill_words", cover(n), driver.Dim{X: threads, Y: 1, Z: 1}, 0, &fillWords{y: at, n: int64(n), value: value})
}

// threads is the size of a block of kernels whose threads are independent.
const threads = 256

// cover is a grid of blocks of independent threads for n elements: their loops
// do the rest.
func cover(n int) driver.Dim {
	return driver.Dim{X: min((n+threads-1)/threads, 1<<16), Y: 1, Z: 1}
}
