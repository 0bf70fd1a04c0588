package imaging

import (
	"bytes"
	"encoding/binary"
	"math"
)

// The orientation of the camera, as TIFF 6.0 numbers it (tag Orientation):
// which side of the scene the first row and the first column are. 1 is upright.
const (
	orientationTag = 0x0112
	upright        = 1
)

// orientation is the orientation in the metadata of an image as Pillow's
// exif_transpose reads them: the tag of Exif data or, if that has none, the
// first mention in XMP. Data that are not Exif are ignored.
func orientation(exif, xmp []byte) int {
	if v, ok := exifOrientation(exif); ok {
		return v
	}
	const name = "tiff:Orientation"
	for {
		at := bytes.Index(xmp, []byte(name))
		if at < 0 {
			return upright
		}
		xmp = xmp[at+len(name):]
		for _, opens := range []string{`="`, ">"} {
			if n := len(opens); len(xmp) > n && string(xmp[:n]) == opens && '0' <= xmp[n] && xmp[n] <= '9' {
				return int(xmp[n] - '0')
			}
		}
	}
}

// exifOrientation finds the tag in the first directory of a TIFF file, which is
// the format of Exif. Like Pillow, it stops at an entry whose data are outside
// the file. It reads each of the at most 65,535 entries once, and follows no
// references.
func exifOrientation(exif []byte) (int, bool) {
	for range 2 {
		exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))
	}
	if len(exif) < 8 {
		return 0, false
	}
	var order binary.ByteOrder
	switch string(exif[:4]) {
	case "MM\x00\x2a", "MM\x2a\x00", "MM\x00\x2b":
		order = binary.BigEndian
	case "II\x2a\x00", "II\x00\x2a":
		order = binary.LittleEndian
	default:
		return 0, false
	}
	at := uint64(order.Uint32(exif[4:]))
	size := uint64(len(exif))
	if at+2 > size {
		return 0, false
	}
	n, taken := order.Uint16(exif[at:]), uint64(0)
	for at += 2; n > 0 && at+12 <= size; n, at = n-1, at+12 {
		entry := exif[at : at+12]
		kind := order.Uint16(entry[2:])
		unit := tiffUnit(kind)
		if unit == 0 {
			continue
		}
		bytes, data := unit*uint64(order.Uint32(entry[4:])), entry[8:12]
		if bytes > 4 {
			from := uint64(order.Uint32(data))
			if taken += bytes; taken > size {
				continue
			}
			if from+bytes > size {
				return 0, false
			}
			data = exif[from : from+bytes]
		}
		if order.Uint16(entry) == orientationTag && bytes > 0 {
			return tiffInteger(order, kind, data), true
		}
	}
	return 0, false
}

// The types of TIFF 6.0 and its supplements that an integer may have.
const (
	tiffShort     = 3
	tiffLong      = 4
	tiffRational  = 5
	tiffSByte     = 6
	tiffSShort    = 8
	tiffSLong     = 9
	tiffSRational = 10
	tiffFloat     = 11
	tiffDouble    = 12
	tiffIFD       = 13
	tiffLong8     = 16
)

// tiffUnit is the size of a value, 0 for an unknown type.
func tiffUnit(kind uint16) uint64 {
	units := [...]uint64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8}
	if int(kind) >= len(units) {
		return 0
	}
	return units[kind]
}

// tiffInteger is the first value, 0 if it is not a small positive integer. As
// in Pillow, text and raw bytes are not numbers.
func tiffInteger(order binary.ByteOrder, kind uint16, data []byte) int {
	var v float64
	switch kind {
	case tiffShort:
		v = float64(order.Uint16(data))
	case tiffLong, tiffIFD:
		v = float64(order.Uint32(data))
	case tiffRational:
		v = float64(order.Uint32(data)) / float64(order.Uint32(data[4:]))
	case tiffSByte:
		v = float64(int8(data[0]))
	case tiffSShort:
		v = float64(int16(order.Uint16(data)))
	case tiffSLong:
		v = float64(int32(order.Uint32(data)))
	case tiffSRational:
		v = float64(int32(order.Uint32(data))) / float64(int32(order.Uint32(data[4:])))
	case tiffFloat:
		v = float64(math.Float32frombits(order.Uint32(data)))
	case tiffDouble:
		v = math.Float64frombits(order.Uint64(data))
	case tiffLong8:
		v = float64(order.Uint64(data))
	}
	if v != math.Trunc(v) || v < 0 || v > math.MaxInt16 {
		return 0
	}
	return int(v)
}

// turned is the image rotated upright (TIFF 6.0, Orientation; Pillow's
// exif_transpose). Undefined orientations leave it unchanged.
func (m *Image) turned(orientation int) *Image {
	if orientation < 2 || orientation > 8 {
		return m
	}
	out := NewImage(m.Width, m.Height)
	out.transparent = m.transparent
	// The position of the first pixel, and the offsets to the next pixel of its
	// row and of its column.
	first, along, down := 0, 1, m.Width
	if orientation >= 5 { // rows become columns
		out.Width, out.Height = m.Height, m.Width
		along, down = m.Height, 1
	}
	switch orientation {
	case 2, 3, 7, 8: // from the right
		first, along = first+along*(m.Width-1), -along
	}
	switch orientation {
	case 3, 4, 6, 7: // from the bottom
		first, down = first+down*(m.Height-1), -down
	}
	for y := range m.Height {
		row := m.row(y)
		for x, at := 0, first+y*down; x < len(row); x, at = x+3, at+along {
			copy(out.Pix[3*at:3*at+3], row[x:x+3])
		}
	}
	return out
}
