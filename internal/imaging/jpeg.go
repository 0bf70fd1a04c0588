package imaging

import (
	"errors"
	"fmt"
	"image"
)

// JPEG is decoded here because the standard leaves the arithmetic of the
// inverse transform open: Go's image/jpeg differs from libjpeg, which PIL uses,
// in one value of 28 and by up to 3 levels. The parts below follow ITU-T T.81
// and, where that is silent, libjpeg: its accurate integer transform, its
// upsampling and its colour conversion. The images have the same bits.

// maxScans bounds the passes over an image. Each may be a few bytes that cost
// as much as a whole image. Encoders make about ten.
const maxScans = 1000

// errJPEG is the cause of the errors of jpegErrorf; Decode adds ErrCorrupt.
var errJPEG = errors.New("invalid")

// errUnread marks a valid file of a rare kind that is not supported.
var errUnread = errors.New("is not read")

func jpegErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errJPEG}, args...)...)
}

// The markers of T.81, table B.1, that are read.
const (
	markSOF0  = 0xc0 // baseline
	markSOF1  = 0xc1 // sequential
	markSOF2  = 0xc2 // progressive
	markSOF3  = 0xc3 // lossless
	markDHT   = 0xc4
	markSOF5  = 0xc5 // SOF5 to SOF7: differential
	markSOF7  = 0xc7
	markJPG   = 0xc8
	markSOF9  = 0xc9 // SOF9 to SOF15: arithmetic
	markSOF11 = 0xcb
	markSOF13 = 0xcd // SOF13 to SOF15: differential
	markSOF15 = 0xcf
	markDAC   = 0xcc
	markRST0  = 0xd0
	markRST7  = 0xd7
	markSOI   = 0xd8
	markEOI   = 0xd9
	markSOS   = 0xda
	markDQT   = 0xdb
	markDRI   = 0xdd
	markDHP   = 0xde
	markAPP0  = 0xe0
	markAPP14 = 0xee
	markTEM   = 0x01
)

// jpegChannel is a component of a frame.
type jpegChannel struct {
	id          uint8
	h, v        int // sampling factors
	table       uint8
	wide, high  int            // blocks, including those that fill up MCUs
	blocks      []int16        // coefficients, 64 a block, in natural order
	quant       *[64]uint16    // as at the first scan of the channel; nil without one
	predicted   int            // DC of the last block
	dc, ac      uint8          // Huffman tables of the scan
	across, own int            // blocks per row, and their rows, in a scan of this channel alone
	unread      [smoothed]int8 // missing low bits of the first coefficients, in the file's order; -1 for all bits
}

// jpegDecoder reads a file into coefficients.
type jpegDecoder struct {
	bits jpegBits

	width, height int
	progressive   bool
	channels      []jpegChannel
	hMax, vMax    int
	quant         [4]*[64]uint16   // in natural order
	huffman       [2][4]*jpegCodes // DC, AC
	restart       int              // MCUs between restart markers, 0 for none
	run           int              // remaining blocks that are at their end (EOBRUN)
	scans         int
	jfif, adobe   bool
	transform     uint8 // from Adobe's segment
}

func decodeJPEG(content []byte, _ image.Config) (*Image, error) {
	d := &jpegDecoder{bits: jpegBits{data: content, at: 2}}
	if err := d.segments(false); err != nil {
		return nil, err
	}
	if d.scans == 0 {
		return nil, jpegErrorf("no image")
	}
	return d.image()
}

// jpegConfig is the size of an image. Nothing of that size is allocated.
func jpegConfig(content []byte) (image.Config, error) {
	d := &jpegDecoder{bits: jpegBits{data: content, at: 2}}
	err := d.segments(true)
	return image.Config{Width: d.width, Height: d.height}, err
}

// segments reads markers and their data up to the end of the image, or up to
// its frame header.
func (d *jpegDecoder) segments(header bool) error {
	for !header || len(d.channels) == 0 {
		marker, err := d.bits.marker()
		if err != nil && d.scans > 0 && !d.progressive {
			return nil // only the end is missing
		}
		if err != nil {
			return err
		}
		switch {
		case marker == markEOI:
			return nil
		case marker == markTEM, marker >= markRST0 && marker <= markSOI:
			continue // without data
		}
		segment, err := d.bits.segment()
		if err != nil {
			return err
		}
		if err := d.segment(marker, segment); err != nil {
			return err
		}
	}
	return nil
}

func (d *jpegDecoder) segment(marker uint8, s []byte) error {
	switch {
	case marker == markSOF0, marker == markSOF1, marker == markSOF2:
		return d.frame(s, marker == markSOF2)
	case marker == markDHT:
		return d.huffmanTables(s)
	case marker == markDAC: // conditions of an unused coder
	case marker >= markSOF0 && marker <= markSOF15, marker == markDHP:
		return fmt.Errorf("%s %w", coding(marker), errUnread)
	case marker == markDQT:
		return d.quantTables(s)
	case marker == markDRI:
		if len(s) != 2 {
			return jpegErrorf("DRI of %d bytes", len(s))
		}
		d.restart = int(s[0])<<8 | int(s[1])
	case marker == markSOS:
		return d.scan(s)
	case marker == markAPP0:
		d.jfif = d.jfif || len(s) >= jfifHeader && string(s[:5]) == "JFIF\x00"
	case marker == markAPP14:
		if len(s) >= 12 && string(s[:5]) == "Adobe" {
			d.adobe, d.transform = true, s[11]
		}
	}
	return nil
}

// jfifHeader is the length of JFIF's segment without a thumbnail; libjpeg
// ignores a shorter one.
const jfifHeader = 14

// coding names the unsupported coding that a marker announces.
func coding(marker uint8) string {
	switch {
	case marker == markSOF9, marker == markSOF9+1:
		return "arithmetic coding"
	case marker == markSOF3:
		return "lossless coding"
	case marker == markSOF11:
		return "lossless arithmetic coding"
	case marker >= markSOF5 && marker <= markSOF7, marker >= markSOF13 && marker <= markSOF15, marker == markDHP:
		return "hierarchical coding"
	}
	return "an extended file (JPG)"
}

// frame reads the image's size and channels.
func (d *jpegDecoder) frame(s []byte, progressive bool) error {
	if len(d.channels) > 0 {
		return jpegErrorf("two frames")
	}
	if len(s) < 6 || len(s) != 6+3*int(s[5]) {
		return jpegErrorf("SOF of %d bytes", len(s))
	}
	d.height, d.width, d.progressive = int(s[1])<<8|int(s[2]), int(s[3])<<8|int(s[4]), progressive
	n := int(s[5])
	switch {
	case s[0] != 8:
		return fmt.Errorf("a precision of %d bits %w", s[0], errUnread)
	case d.height == 0 && d.width > 0:
		return fmt.Errorf("a height that comes after the image (DNL) %w", errUnread)
	case d.width == 0:
		return jpegErrorf("no pixels")
	case n != 1 && n != 3 && n != 4:
		return fmt.Errorf("an image of %d channels %w", n, errUnread)
	}
	for ; len(d.channels) < n; s = s[3:] {
		c := jpegChannel{id: s[6], h: int(s[7] >> 4), v: int(s[7] & 15), table: s[8]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.table > 3 {
			return jpegErrorf("channel %d has sampling %dx%d and table %d", c.id, c.h, c.v, c.table)
		}
		for k := range c.unread {
			c.unread[k] = -1
		}
		d.hMax, d.vMax = max(d.hMax, c.h), max(d.vMax, c.v)
		d.channels = append(d.channels, c)
	}
	across, down := ceil(d.width, 8*d.hMax), ceil(d.height, 8*d.vMax)
	for i := range d.channels {
		c := &d.channels[i]
		if d.hMax%c.h != 0 || d.vMax%c.v != 0 {
			return fmt.Errorf("channel %d, sampled by a fraction, %w", c.id, errUnread)
		}
		c.wide, c.high = across*c.h, down*c.v
		c.across, c.own = ceil(ceil(d.width*c.h, d.hMax), 8), ceil(ceil(d.height*c.v, d.vMax), 8)
	}
	return nil
}

// ceil is a/b rounded up.
func ceil(a, b int) int { return (a + b - 1) / b }

// quantTables reads DQT.
func (d *jpegDecoder) quantTables(s []byte) error {
	for len(s) > 0 {
		size, at := int(s[0]>>4), s[0]&15
		if size > 1 || at > 3 || len(s) < 1+64*(size+1) {
			return jpegErrorf("DQT")
		}
		table := new([64]uint16)
		for i, natural := range zigzag() {
			if size == 0 {
				table[natural] = uint16(s[1+i])
			} else {
				table[natural] = uint16(s[1+2*i])<<8 | uint16(s[2+2*i])
			}
		}
		d.quant[at] = table
		s = s[1+64*(size+1):]
	}
	return nil
}

// zigzag is the place of each coefficient in a block, in the order of the file
// (T.81, figure A.6).
func zigzag() [64]uint8 {
	return [64]uint8{
		0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
		12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
		35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
		58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
	}
}
