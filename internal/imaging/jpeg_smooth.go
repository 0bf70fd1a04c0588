package imaging

// smoothed is how many coefficients of a block, in the file's order, are
// estimated if a progressive file lacks them.
const smoothed = 10

// stencil is weights of the means of a block and the 24 blocks around it, row
// by row.
type stencil [5][5]int

// across weights columns where w weights rows.
func (w stencil) across() stencil {
	var t stencil
	for y := range w {
		for x := range w[y] {
			t[x][y] = w[y][x]
		}
	}
	return t
}

// estimators are the windows of the first coefficients, in the file's order:
// libjpeg-turbo's ("block smoothing", since its version 2.1), whose sum over
// 256 is a coefficient. With means alone they are those of a smooth surface
// ([meansOnly]), which also change the means; with some other coefficients
// known, those of T.81, K.8.2, widened to 5 x 5.
func estimators(meansOnly bool) [smoothed]stencil {
	if !meansOnly {
		slope := stencil{2: {-7, 50, 0, -50, 7}}
		bend := stencil{2: {-1, 13, -24, 13, -1}}
		twist := stencil{{0, -1, 0, 1, 0}, {-1, 10, 0, -10, 1}, {}, {1, -10, 0, 10, -1}, {0, 1, 0, -1, 0}}
		return [smoothed]stencil{1: slope, 2: slope.across(), 3: bend.across(), 4: twist, 5: bend}
	}
	mean := stencil{{-2, -6, -8, -6, -2}, {-6, 6, 42, 6, -6}, {-8, 42, 152, 42, -8}, {-6, 6, 42, 6, -6}, {-2, -6, -8, -6, -2}}
	slope := stencil{{-1, -1, 0, 1, 1}, {-3, 13, 0, -13, 3}, {-3, 38, 0, -38, 3}, {-3, 13, 0, -13, 3}, {-1, -1, 0, 1, 1}}
	bend := stencil{1: {0, 2, -5, 2, 0}, 2: {1, 7, -14, 7, 1}, 3: {0, 2, -5, 2, 0}}
	twist := stencil{{-1, 0, 0, 0, 1}, {0, 9, 0, -9, 0}, {}, {0, -9, 0, 9, 0}, {1, 0, 0, 0, -1}}
	third := stencil{1: {0, 1, 0, -1, 0}, 2: {0, 2, 0, -2, 0}, 3: {0, 1, 0, -1, 0}}
	saddle := stencil{1: {0, 1, -3, 1, 0}, 3: {0, -1, 3, -1, 0}}
	return [smoothed]stencil{
		mean, slope, slope.across(), bend.across(), twist, bend, third, saddle, saddle.across(), third.across(),
	}
}

// smooths reports whether libjpeg estimates coefficients: for a progressive
// image with known means whose first coefficients are not all known in full.
func (d *jpegDecoder) smooths() bool {
	missing := false
	for i := range d.channels {
		c := &d.channels[i]
		if !d.progressive || c.quant == nil || c.unread[0] < 0 {
			return false
		}
		order := zigzag()
		for k, natural := range order[:smoothed] {
			if c.quant[natural] == 0 {
				return false
			}
			missing = missing || k > 0 && c.unread[k] != 0
		}
	}
	return missing
}

// smoother estimates the unknown coefficients of a channel's blocks.
type smoother struct {
	channel   *jpegChannel
	windows   [smoothed]stencil
	order     [64]uint8
	meansOnly bool
	work      [64]int16
}

func newSmoother(c *jpegChannel) *smoother {
	s := &smoother{channel: c, order: zigzag(), meansOnly: true}
	for _, bits := range c.unread[1:] {
		s.meansOnly = s.meansOnly && bits == -1
	}
	s.windows = estimators(s.meansOnly)
	return s
}

// block is the coefficients of a block, with estimates for those that are zero
// and not known in full. The next call overwrites them.
func (s *smoother) block(x, y int) []int16 {
	c := s.channel
	copy(s.work[:], c.blocks[64*(y*c.wide+x):])
	means := s.means(x, y)
	last := 5
	if s.meansOnly {
		last = smoothed - 1
	}
	for k := 1; k <= last; k++ {
		at, bits := s.order[k], c.unread[k]
		if bits == 0 || s.work[at] != 0 {
			continue
		}
		s.work[at] = int16(estimate(&means, &s.windows[k], int(c.quant[0]), int(c.quant[at]), bits))
	}
	if s.meansOnly {
		s.work[0] = int16(estimate(&means, &s.windows[0], int(c.quant[0]), int(c.quant[0]), -1))
	}
	return s.work[:]
}

// estimate is the coefficient that the surrounding means suggest, in steps of
// quant, limited so that it does not contradict the known bits.
func estimate(means, weights *stencil, mean, quant int, bits int8) int {
	sum := 0
	for y := range means {
		for x := range means[y] {
			sum += weights[y][x] * means[y][x]
		}
	}
	sum *= mean
	v := (quant<<7 + max(sum, -sum)) / (quant << 8)
	if bits > 0 {
		v = min(v, 1<<bits-1)
	}
	if sum < 0 {
		return -v
	}
	return v
}

// means are those of the surrounding blocks; outside the image, those of the
// nearest blocks. libjpeg decides which rows are outside: it counts the rows of
// the last MCUs as if all MCUs had that many, and counts those that fill up the
// last ones as part of the image.
func (s *smoother) means(x, y int) (out stencil) {
	c := s.channel
	mcu, rows := y/c.v, c.v
	if mcu == c.high/c.v-1 {
		rows = (c.own-1)%c.v + 1
	}
	counted, all := mcu*rows+y%c.v, rows*(c.high/c.v)
	above, below := min(counted, 2), min(all-1-counted, 2)
	for i := range out {
		row := c.blocks[64*c.wide*(y+max(-above, min(i-2, below))):]
		for j := range out[i] {
			out[i][j] = int(row[64*max(0, min(x+j-2, c.across-1))])
		}
	}
	return out
}
