package imaging

// image turns coefficients into pixels.
func (d *jpegDecoder) image() (*Image, error) {
	planes := make([]plane, len(d.channels))
	widen := make([]upsampler, len(d.channels))
	rows := make([][]uint8, len(d.channels))
	smooth := d.smooths()
	for i := range d.channels {
		c := &d.channels[i]
		planes[i] = d.plane(c, smooth)
		widen[i] = jpegUpsampler(planes[i], d.hMax/c.h, d.vMax/c.v)
		rows[i] = make([]uint8, d.width)
	}
	convert := d.conversion()
	out := NewImage(d.width, d.height)
	for y := range d.height {
		for i := range rows {
			widen[i](planes[i], y, rows[i])
		}
		convert(rows, out.row(y))
	}
	return out, nil
}

// plane transforms a channel's blocks, and frees them. A channel without a scan
// is uniform grey.
func (d *jpegDecoder) plane(c *jpegChannel, smooth bool) plane {
	p := plane{
		pix: make([]uint8, 64*c.wide*c.high), stride: 8 * c.wide,
		width: ceil(d.width*c.h, d.hMax), height: ceil(d.height*c.v, d.vMax),
	}
	if c.quant == nil {
		for i := range p.pix {
			p.pix[i] = 128
		}
		return p
	}
	var estimates *smoother
	if smooth {
		estimates = newSmoother(c)
	}
	for y := range c.high {
		for x := range c.wide {
			at := 64 * (y*c.wide + x)
			block := c.blocks[at : at+64]
			if smooth && y < c.own && x < c.across {
				block = estimates.block(x, y)
			}
			inverseDCT(block, c.quant, p.pix[8*(y*p.stride+x):], p.stride)
		}
	}
	c.blocks = nil
	return p
}

// conversion determines the meaning of the channels: from JFIF or Adobe, else
// from their ids, as libjpeg guesses.
func (d *jpegDecoder) conversion() func(in [][]uint8, row []uint8) {
	ids := make([]byte, len(d.channels))
	for i := range ids {
		ids[i] = d.channels[i].id
	}
	switch {
	case len(d.channels) == 1:
		return jpegGrey
	case len(d.channels) == 4 && d.adobe && d.transform != 0:
		return jpegYCCK
	case len(d.channels) == 4:
		return jpegCMYK
	case !d.jfif && (d.adobe && d.transform == 0 || !d.adobe && string(ids) == "RGB"):
		return jpegPlain
	}
	return jpegYCC
}

func jpegGrey(in [][]uint8, row []uint8) { grayRow(row, in[0]) }

func jpegPlain(in [][]uint8, row []uint8) {
	for x := range len(row) / 3 {
		row[3*x], row[3*x+1], row[3*x+2] = in[0][x], in[1][x], in[2][x]
	}
}

func jpegYCC(in [][]uint8, row []uint8) {
	for x := range len(row) / 3 {
		row[3*x], row[3*x+1], row[3*x+2] = jpegRGB(in[0][x], in[1][x], in[2][x])
	}
}

// jpegCMYK converts inks that are stored inverted, as Adobe does and PIL
// assumes.
func jpegCMYK(in [][]uint8, row []uint8) {
	for x := range len(row) / 3 {
		cmykRow(row[3*x:3*x+3], []uint8{255 - in[0][x], 255 - in[1][x], 255 - in[2][x], 255 - in[3][x]})
	}
}

// jpegYCCK converts inks whose complement is stored as YCbCr.
func jpegYCCK(in [][]uint8, row []uint8) {
	for x := range len(row) / 3 {
		r, g, b := jpegRGB(in[0][x], in[1][x], in[2][x])
		cmykRow(row[3*x:3*x+3], []uint8{r, g, b, 255 - in[3][x]})
	}
}

// jpegRGB is the colour conversion of JFIF in 16-bit fixed point, with each
// term rounded as in libjpeg.
func jpegRGB(y, cb, cr uint8) (r, g, b uint8) {
	const half = 1 << 15
	l, u, v := int(y), int(cb)-128, int(cr)-128
	r = clip8(l + (91881*v+half)>>16)           // 1.402
	g = clip8(l + (-22554*u-46802*v+half)>>16)  // 0.344136, 0.714136
	return r, g, clip8(l + (116130*u+half)>>16) // 1.772
}
