package imaging

import "io"

// jpegBits reads a file's bytes, and the bits of entropy-coded data, in which a
// zero follows each byte 0xff.
type jpegBits struct {
	data []byte
	at   int

	held  uint32
	count int
}

// marker finds the next marker, and skips other bytes.
func (b *jpegBits) marker() (uint8, error) {
	b.held, b.count = 0, 0
	for b.at+1 < len(b.data) {
		if b.data[b.at] == 0xff && b.data[b.at+1] != 0 && b.data[b.at+1] != 0xff {
			b.at += 2
			return b.data[b.at-1], nil
		}
		b.at++
	}
	return 0, io.ErrUnexpectedEOF
}

// segment is the data of a marker with a length.
func (b *jpegBits) segment() ([]byte, error) {
	if b.at+2 > len(b.data) {
		return nil, io.ErrUnexpectedEOF
	}
	n := int(b.data[b.at])<<8 | int(b.data[b.at+1])
	switch {
	case n < 2:
		return nil, jpegErrorf("a segment of %d bytes", n)
	case b.at+n > len(b.data):
		return nil, io.ErrUnexpectedEOF
	}
	s := b.data[b.at+2 : b.at+n]
	b.at += n
	return s, nil
}

// fill loads at least n bits, n up to 24.
func (b *jpegBits) fill(n int) error {
	for b.count < n {
		if b.at >= len(b.data) {
			return io.ErrUnexpectedEOF
		}
		v := b.data[b.at]
		b.at++
		if v == 0xff {
			if b.at >= len(b.data) {
				return io.ErrUnexpectedEOF
			}
			if b.data[b.at] != 0 {
				b.at--
				return jpegErrorf("a scan ends too early")
			}
			b.at++
		}
		b.held = b.held<<8 | uint32(v)
		b.count += 8
	}
	return nil
}

// take reads n bits, n up to 16.
func (b *jpegBits) take(n int) (int, error) {
	if err := b.fill(n); err != nil {
		return 0, err
	}
	b.count -= n
	return int(b.held>>b.count) & (1<<n - 1), nil
}

// value reads a number of n bits; the first bit says that it is positive (T.81,
// F.2.2.1, EXTEND).
func (b *jpegBits) value(n int) (int, error) {
	v, err := b.take(n)
	if n > 0 && v < 1<<(n-1) {
		v -= 1<<n - 1
	}
	return v, err
}

// jpegCodes is a Huffman table: codes of each length are consecutive.
type jpegCodes struct {
	first  [17]int // the first code of a length
	past   [17]int // one past the last
	offset [17]int // the first one's place in values
	values []uint8
	// short has, for each byte that begins with a code, the code's length and
	// value, so that most codes take one lookup.
	short [256]struct{ length, value uint8 }
}

// huffmanTables reads DHT (T.81, B.2.4.2, C.2).
func (d *jpegDecoder) huffmanTables(s []byte) error {
	for len(s) > 0 {
		if len(s) < 17 || s[0]>>4 > 1 || s[0]&15 > 3 {
			return jpegErrorf("DHT")
		}
		t := &jpegCodes{}
		code, n := 0, 0
		for length := 1; length <= 16; length++ {
			count := int(s[length])
			t.first[length], t.past[length], t.offset[length] = code, code+count, n
			if code+count > 1<<length {
				return jpegErrorf("DHT has too many codes of %d bits", length)
			}
			code, n = (code+count)*2, n+count
		}
		if n > 256 || len(s) < 17+n {
			return jpegErrorf("DHT of %d codes", n)
		}
		t.values = s[17 : 17+n]
		t.index()
		d.huffman[s[0]>>4][s[0]&15] = t
		s = s[17+n:]
	}
	return nil
}

// index fills in short.
func (t *jpegCodes) index() {
	for length := 1; length <= 8; length++ {
		for code := t.first[length]; code < t.past[length]; code++ {
			value := t.values[t.offset[length]+code-t.first[length]]
			for rest := range 1 << (8 - length) {
				t.short[code<<(8-length)|rest] = struct{ length, value uint8 }{uint8(length), value}
			}
		}
	}
}

// symbol reads a code.
func (b *jpegBits) symbol(t *jpegCodes) (uint8, error) {
	// At the end of a scan fewer than 8 bits may be left, and suffice.
	if b.count >= 8 || b.fill(8) == nil {
		if s := t.short[uint8(b.held>>(b.count-8))]; s.length > 0 {
			b.count -= int(s.length)
			return s.value, nil
		}
	}
	code := 0
	for length := 1; length <= 16; length++ {
		bit, err := b.take(1)
		if err != nil {
			return 0, err
		}
		code = code<<1 | bit
		if code >= t.first[length] && code < t.past[length] {
			return t.values[t.offset[length]+code-t.first[length]], nil
		}
	}
	return 0, jpegErrorf("a code of no meaning")
}
