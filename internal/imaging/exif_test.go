package imaging

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// exif6 is Exif data that say 6, in 26 bytes.
func exif6() []byte {
	return []byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00")
}

// withSegment is a JPEG file with a segment APP1.
func withSegment(jpeg, data []byte) []byte {
	head := []byte{0xff, 0xe1, byte((len(data) + 2) >> 8), byte(len(data) + 2)}
	return slices.Concat(jpeg[:2], head, data, jpeg[2:])
}

// withChunk is a PNG file with a chunk after its header.
func withChunk(png []byte, kind string, data []byte) []byte {
	const header = 33
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	chunk = append(append(chunk, kind...), data...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return slices.Concat(png[:header], chunk, png[header:])
}

func deflated(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// TestTurned: every orientation is undone by its inverse, and no pixel is lost.
func TestTurned(t *testing.T) {
	m := NewImage(5, 3)
	m.transparent = &[3]uint8{3, 4, 5}
	for i := range m.Pix {
		m.Pix[i] = byte(i)
	}
	inverse := map[int]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6, 0: 0, 9: 9, -1: -1}
	seen := map[string]bool{}
	for o, back := range inverse {
		turned := m.turned(o)
		require.NoError(t, turned.check())
		require.Equal(t, m, turned.turned(back), "orientation %d", o)
		seen[string(append(turned.Pix, byte(turned.Width)))] = true
	}
	require.Len(t, seen, 8)
}

// TestHostileMetadata: a size that metadata claim costs nothing before the
// bytes arrive.
func TestHostileMetadata(t *testing.T) {
	picture := smallPictures(t)["PNG alpha"]
	for name, c := range map[string]struct {
		content []byte
		err     error
	}{
		"text that grows": {withChunk(picture, "zTXt", append([]byte("Raw profile type exif\x00\x00"), deflated(t, make([]byte, 64<<20))...)), ErrTooLarge},
		"another's text that grows": {
			withChunk(picture, "zTXt", append([]byte("Comment\x00\x00"), deflated(t, make([]byte, 64<<20))...)), nil,
		},
		"broken text":       {withChunk(picture, "zTXt", []byte("Raw profile type exif\x00\x00nonsense")), nil},
		"no digits":         {withChunk(picture, "tEXt", []byte("Raw profile type exif\x00\nexif\n 9\nxyz")), nil},
		"directory outside": {withChunk(picture, "eXIf", []byte("MM\x00*\xff\xff\xff\xff")), nil},
		"entries that are not there": {
			withChunk(picture, "eXIf", []byte("MM\x00*\x00\x00\x00\x08\xff\xff")), nil,
		},
		"a directory in itself": {withChunk(picture, "eXIf", append(exif6()[:22], 8, 0, 0, 0)), nil},
	} {
		_, err := Decode(bytes.NewReader(c.content), Limits{})
		require.ErrorIs(t, err, c.err, name)
	}
	const entries = 1<<16 - 1
	long := binary.BigEndian.AppendUint16([]byte("MM\x00*\x00\x00\x00\x08"), entries)
	for range entries { // each claims all of the file
		long = append(long, 0x10, 0, 0, 1, 0, 0xb, 0xff, 0xff, 0, 0, 0, 0)
	}
	v, ok := exifOrientation(long)
	require.False(t, ok, "%d", v)
}

// FuzzOrientation: whatever the metadata, a number that can be applied.
func FuzzOrientation(f *testing.F) {
	f.Add(exif6(), []byte(`tiff:Orientation="3"`))
	f.Add([]byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x05\x00\x00\x00\x01\x00\x00\x00\x1a\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x01"), []byte("tiff:Orientation>8<"))
	f.Fuzz(func(t *testing.T, exif, xmp []byte) {
		o := orientation(exif, xmp)
		if o < 0 || o > 1<<15 {
			t.Fatalf("orientation %d", o)
		}
		if m := NewImage(2, 3).turned(o); m.check() != nil {
			t.Fatal(m.check())
		}
	})
}
