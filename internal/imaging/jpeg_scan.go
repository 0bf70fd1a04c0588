package imaging

// jpegScan is a pass over the blocks of some channels.
type jpegScan struct {
	channels          []*jpegChannel
	from, to          int // coefficients, in the file's order
	before, precision int // bits at which earlier scans stopped (0: the first scan), and at which this one stops
}

// scan reads SOS and the data after it.
func (d *jpegDecoder) scan(s []byte) error {
	scan, err := d.scanHeader(s)
	if err != nil {
		return err
	}
	if d.scans++; d.scans > maxScans {
		return jpegErrorf("more than %d scans", maxScans)
	}
	if err := d.begin(scan); err != nil {
		return err
	}
	d.reset()
	across, down := ceil(d.width, 8*d.hMax), ceil(d.height, 8*d.vMax)
	if len(scan.channels) == 1 {
		across, down = scan.channels[0].across, scan.channels[0].own
	}
	for mcu := range across * down {
		if d.restart > 0 && mcu > 0 && mcu%d.restart == 0 {
			if err := d.expectRestart(mcu/d.restart - 1); err != nil {
				return err
			}
		}
		if err := d.unit(scan, mcu%across, mcu/across); err != nil {
			return err
		}
	}
	return nil
}

func (d *jpegDecoder) scanHeader(s []byte) (*jpegScan, error) {
	if len(d.channels) == 0 || len(s) < 1 || s[0] < 1 || s[0] > 4 || len(s) != 4+2*int(s[0]) {
		return nil, jpegErrorf("SOS of %d bytes", len(s))
	}
	n := int(s[0])
	last := s[1+2*n:]
	scan := &jpegScan{from: int(last[0]), to: int(last[1]), before: int(last[2] >> 4), precision: int(last[2] & 15)}
	if !d.progressive {
		scan.from, scan.to, scan.before, scan.precision = 0, 63, 0, 0
	}
	switch {
	case scan.to > 63 || scan.from > scan.to || scan.from == 0 && d.progressive && scan.to != 0,
		scan.from > 0 && n != 1, scan.precision > 13, scan.before > 0 && scan.before != scan.precision+1:
		return nil, jpegErrorf("a scan of coefficients %d to %d, bits %d to %d", scan.from, scan.to, scan.before, scan.precision)
	}
	for i := range n {
		id, tables := s[1+2*i], s[2+2*i]
		for j := range d.channels {
			// Of channels that share an id each is used once, as in libjpeg.
			if c := &d.channels[j]; c.id == id && j >= len(scan.channels) {
				c.dc, c.ac = tables>>4, tables&15
				scan.channels = append(scan.channels, c)
				break
			}
		}
		if len(scan.channels) != i+1 || tables>>4 > 3 || tables&15 > 3 {
			return nil, jpegErrorf("a scan of channel %d with tables %#x", id, tables)
		}
	}
	return scan, d.checkTables(scan)
}

// begin allocates the new channels of a scan, copies their quantisation tables,
// which a file may redefine between scans, and records what the scan brings.
func (d *jpegDecoder) begin(scan *jpegScan) error {
	for _, c := range scan.channels {
		if c.quant == nil {
			if c.quant = d.quant[c.table]; c.quant == nil {
				return jpegErrorf("channel %d without its quantisation table", c.id)
			}
			c.blocks = make([]int16, 64*c.wide*c.high)
		}
		for k := scan.from; k <= min(scan.to, smoothed-1); k++ {
			c.unread[k] = int8(scan.precision)
		}
	}
	return nil
}

// checkTables checks before the data whether its tables are defined.
func (d *jpegDecoder) checkTables(scan *jpegScan) error {
	for _, c := range scan.channels {
		if scan.from == 0 && scan.before == 0 && d.huffman[0][c.dc] == nil || scan.to > 0 && d.huffman[1][c.ac] == nil {
			return jpegErrorf("a scan without its Huffman tables")
		}
	}
	return nil
}

// reset clears the state between blocks.
func (d *jpegDecoder) reset() {
	d.run, d.bits.held, d.bits.count = 0, 0, 0
	for i := range d.channels {
		d.channels[i].predicted = 0
	}
}

func (d *jpegDecoder) expectRestart(n int) error {
	marker, err := d.bits.marker()
	if err != nil {
		return err
	}
	if marker != markRST0+uint8(n%8) {
		return jpegErrorf("marker %#x is not restart %d", marker, n%8)
	}
	d.reset()
	return nil
}

// unit reads the blocks of an MCU: of each channel those that cover the same
// pixels, or the single block of a channel in its own scan.
func (d *jpegDecoder) unit(scan *jpegScan, x, y int) error {
	if len(scan.channels) == 1 {
		return d.block(scan, scan.channels[0], x, y)
	}
	for _, c := range scan.channels {
		for v := range c.v {
			for h := range c.h {
				if err := d.block(scan, c, x*c.h+h, y*c.v+v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (d *jpegDecoder) block(scan *jpegScan, c *jpegChannel, x, y int) error {
	at := 64 * (y*c.wide + x)
	b := c.blocks[at : at+64 : at+64]
	switch {
	case !d.progressive:
		if err := d.dcFirst(c, b, 0); err != nil {
			return err
		}
		return d.acFirst(scan, c, b, 1)
	case scan.from == 0 && scan.before == 0:
		return d.dcFirst(c, b, scan.precision)
	case scan.from == 0:
		bit, err := d.bits.take(1)
		b[0] |= int16(bit << scan.precision)
		return err
	case scan.before == 0:
		return d.acFirst(scan, c, b, scan.from)
	default:
		return d.acRefine(scan, c, b)
	}
}

// dcFirst reads a block's mean as the difference from the last one's.
func (d *jpegDecoder) dcFirst(c *jpegChannel, b []int16, precision int) error {
	size, err := d.bits.symbol(d.huffman[0][c.dc])
	if err != nil {
		return err
	}
	if size > 15 {
		return jpegErrorf("a difference of %d bits", size)
	}
	diff, err := d.bits.value(int(size))
	c.predicted += diff
	b[0] = int16(c.predicted << precision)
	return err
}

// acFirst reads the other coefficients: runs of zeros and what ends them (T.81,
// F.2.2.2 and G.1.2.2).
func (d *jpegDecoder) acFirst(scan *jpegScan, c *jpegChannel, b []int16, from int) error {
	if d.run > 0 {
		d.run--
		return nil
	}
	order := zigzag()
	for k := from; k <= scan.to; k++ {
		rs, err := d.bits.symbol(d.huffman[1][c.ac])
		if err != nil {
			return err
		}
		zeros, size := int(rs>>4), int(rs&15)
		if size == 0 {
			if zeros < 15 {
				return d.endRun(zeros)
			}
			k += 15
			continue
		}
		k += zeros
		v, err := d.bits.value(size)
		if err != nil {
			return err
		}
		if k > scan.to {
			return jpegErrorf("a block of too many coefficients")
		}
		b[order[k]] = int16(v << scan.precision)
	}
	return nil
}

// endRun ends a block, and 2^n - 1 to 2^(n+1) - 2 blocks after it; n is 0
// without progression.
func (d *jpegDecoder) endRun(n int) error {
	if !d.progressive && n > 0 {
		return jpegErrorf("a run of blocks")
	}
	more, err := d.bits.take(n)
	d.run = 1<<n - 1 + more
	return err
}

// acRefine adds a bit to coefficients that are known, and brings new ones
// (T.81, G.1.2.3).
func (d *jpegDecoder) acRefine(scan *jpegScan, c *jpegChannel, b []int16) error {
	k := scan.from
	if d.run == 0 {
		for ; k <= scan.to; k++ {
			rs, err := d.bits.symbol(d.huffman[1][c.ac])
			if err != nil {
				return err
			}
			zeros, size := int(rs>>4), rs&15
			var fresh int16
			switch {
			case size == 0 && zeros < 15:
				if err := d.endRun(zeros); err != nil {
					return err
				}
				d.run++ // this block counts: its coefficients are refined below
			case size == 1:
				bit, err := d.bits.take(1)
				if err != nil {
					return err
				}
				fresh = int16((2*bit - 1) << scan.precision)
			case size > 1:
				return jpegErrorf("a refinement of %d bits", size)
			}
			if d.run > 0 {
				break
			}
			if k, err = d.refine(scan, b, k, zeros); err != nil {
				return err
			}
			if fresh != 0 {
				if k > scan.to {
					return jpegErrorf("a block of too many coefficients")
				}
				b[zigzag()[k]] = fresh
			}
		}
	}
	if d.run > 0 {
		d.run--
		_, err := d.refine(scan, b, k, -1)
		return err
	}
	return nil
}

// refine reads a bit for each non-zero coefficient from k on, and stops at the
// zero after that many others, or at the end of the scan if zeros is -1.
func (d *jpegDecoder) refine(scan *jpegScan, b []int16, k, zeros int) (int, error) {
	order := zigzag()
	step := int16(1) << scan.precision
	for ; k <= scan.to; k++ {
		p := &b[order[k]]
		if *p == 0 {
			if zeros == 0 {
				break
			}
			zeros--
			continue
		}
		bit, err := d.bits.take(1)
		if err != nil {
			return k, err
		}
		switch {
		case bit == 0 || *p&step != 0:
		case *p > 0:
			*p += step
		default:
			*p -= step
		}
	}
	return k, nil
}
