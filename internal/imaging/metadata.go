package imaging

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Where each format stores its Exif data and its XMP, as Pillow's plugins read
// them.

// jpegOrientation searches the segments before the first scan. Exif data larger
// than a segment continue in the next one.
func jpegOrientation(content []byte) (int, error) {
	const app1, exifName, xmpName = markAPP0 + 1, "Exif\x00\x00", "http://ns.adobe.com/xap/1.0/\x00"
	var exif, xmp []byte
	for b := (&jpegBits{data: content, at: 2}); ; {
		marker, err := b.marker()
		if err != nil || marker == markEOI {
			break
		}
		if marker == markTEM || marker >= markRST0 && marker <= markSOI {
			continue
		}
		s, err := b.segment()
		if err != nil || marker == markSOS {
			break
		}
		switch {
		case marker != app1:
		case bytes.HasPrefix(s, []byte(exifName)) && exif != nil:
			exif = append(exif, s[len(exifName):]...)
		case bytes.HasPrefix(s, []byte(exifName)):
			exif = bytes.Clone(s)
		case bytes.HasPrefix(s, []byte(xmpName)):
			xmp = s[len(xmpName):]
		}
	}
	return orientation(exif, xmp), nil //nolint:nilerr // the picture's decoder says what is wrong
}

func webpOrientation(content []byte) (int, error) {
	var exif, xmp []byte
	webpChunks(content, func(kind string, data []byte, flags byte) bool {
		switch {
		case kind == "EXIF" && flags&webpExif != 0 && exif == nil:
			exif = data
		case kind == "XMP " && flags&webpXMP != 0 && xmp == nil:
			xmp = data
		}
		return true
	})
	return orientation(exif, xmp), nil
}

// pngChunks calls see with each chunk of a file up to its end, up to a
// truncated chunk, or until see returns that it is enough.
func pngChunks(content []byte, see func(kind string, data []byte) (more bool)) {
	for at := len("\x89PNG\r\n\x1a\n"); at+12 <= len(content); {
		n := int(binary.BigEndian.Uint32(content[at:]))
		kind := string(content[at+4 : at+8])
		if at += 8; n > len(content)-at-4 || kind == "IEND" || !see(kind, content[at:at+n]) {
			return
		}
		at += n + 4
	}
}

// pngText is a text chunk's value, which may be compressed.
type pngText struct {
	value      []byte
	compressed bool
}

// maxPNGText bounds the size of a decompressed text, as in Pillow. Only the
// last text of a name counts, so a file has at most two decompressed.
const maxPNGText = 1 << 20

func (t pngText) unpacked() ([]byte, error) {
	if !t.compressed {
		return t.value, nil
	}
	r, err := zlib.NewReader(bytes.NewReader(t.value))
	if err != nil {
		return nil, nil // a broken text is ignored
	}
	defer r.Close()
	value, err := io.ReadAll(io.LimitReader(r, maxPNGText+1))
	if len(value) > maxPNGText {
		return nil, fmt.Errorf("%w: a compressed text of more than %d bytes", ErrTooLarge, maxPNGText)
	}
	if err != nil {
		return nil, nil
	}
	return value, nil
}

// pngOrientation searches the chunk eXIf, before or after the image, or a text
// of that name; else the text in which ImageMagick stores Exif; and the text
// for XMP.
func pngOrientation(content []byte) (int, error) {
	const rawName, xmpName = "Raw profile type exif", "XML:com.adobe.xmp"
	var exif []byte
	texts := map[string]pngText{}
	pngChunks(content, func(kind string, data []byte) bool {
		name, text, ok := readPNGText(kind, data)
		switch {
		case kind == "eXIf":
			exif = data
		case kind == "tEXt" && name == "exif":
			exif = text.value
		case ok && (name == rawName || name == xmpName):
			texts[name] = text
		}
		return true
	})
	raw, err := texts[rawName].unpacked()
	if err != nil {
		return 0, err
	}
	if lines := strings.SplitN(string(raw), "\n", 4); exif == nil && len(lines) == 4 {
		// Name, size and hexadecimal digits, after an empty line.
		if exif, err = hex.DecodeString(strings.Join(strings.Fields(lines[3]), "")); err != nil {
			exif = nil
		}
	}
	xmp, err := texts[xmpName].unpacked()
	return orientation(exif, xmp), err
}

// readPNGText reads tEXt, zTXt or iTXt (PNG, 11.3.3).
func readPNGText(kind string, data []byte) (name string, text pngText, ok bool) {
	if kind != "tEXt" && kind != "zTXt" && kind != "iTXt" {
		return "", pngText{}, false
	}
	key, value, ok := bytes.Cut(data, []byte{0})
	if !ok {
		return "", pngText{}, false
	}
	text.value = value
	switch kind {
	case "zTXt": // method
		if len(value) < 1 || value[0] != 0 {
			return "", pngText{}, false
		}
		text = pngText{value[1:], true}
	case "iTXt": // compressed, method, language, translated name
		if len(value) < 2 || value[0] != 0 && value[1] != 0 {
			return "", pngText{}, false
		}
		parts := bytes.SplitN(value[2:], []byte{0}, 3)
		if len(parts) < 3 {
			return "", pngText{}, false
		}
		text = pngText{parts[2], value[0] != 0}
	}
	return string(key), text, true
}
