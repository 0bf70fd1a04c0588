package imaging

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"io"
	"os"

	"golang.org/x/image/bmp"
)

// Limits bound the memory of an image. The zero value is a default for
// photographs.
type Limits struct {
	// Pixels is the maximum width x height of an image, and of each step of its
	// processing; 0 means 89,478,485, above which PIL warns of a bomb.
	Pixels int
	// Bytes is the maximum size of a file; 0 means 256 MiB.
	Bytes int64
}

const (
	defaultPixels = 89_478_485
	defaultBytes  = 256 << 20
)

func (l Limits) withDefaults() Limits {
	if l.Pixels <= 0 {
		l.Pixels = defaultPixels
	}
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	return l
}

// fits reports whether width x height is within the limit.
func (l Limits) fits(width, height int) bool {
	return width <= l.Pixels && height <= l.Pixels && int64(width)*int64(height) <= int64(l.Pixels)
}

// Open decodes a file. The error is the system's or one of [Decode], with the
// file's name.
func Open(path string, limits Limits) (*Image, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	if !info.Mode().IsRegular() { // opening a pipe would block
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrFormat, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	defer f.Close()
	m, err := Decode(f, limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Decode reads an image, rotates it by its orientation, and converts it to RGB.
// It checks the size in the file's header before it allocates anything of that
// size. The error wraps [ErrFormat], [ErrCorrupt] or [ErrTooLarge], or is the
// reader's.
func Decode(r io.Reader, limits Limits) (*Image, error) {
	limits = limits.withDefaults()
	content, err := io.ReadAll(io.LimitReader(r, limits.Bytes+1))
	if err != nil {
		return nil, fmt.Errorf("read an image: %w", err)
	}
	if int64(len(content)) > limits.Bytes {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limits.Bytes)
	}
	f, ok := sniff(content)
	if !ok {
		return nil, ErrFormat
	}
	config, err := f.config(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, f.name, err)
	}
	if config.Width < 1 || config.Height < 1 {
		return nil, fmt.Errorf("%w: %s: no pixels", ErrCorrupt, f.name)
	}
	if !limits.fits(config.Width, config.Height) {
		return nil, fmt.Errorf("%w: %dx%d is more than %d pixels", ErrTooLarge, config.Width, config.Height, limits.Pixels)
	}
	m, err := f.decode(content, config)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, f.name, err)
	}
	if m.Width != config.Width || m.Height != config.Height {
		return nil, fmt.Errorf("%w: %s: the header says %dx%d, the image is %dx%d",
			ErrCorrupt, f.name, config.Width, config.Height, m.Width, m.Height)
	}
	if f.orientation == nil {
		return m, nil
	}
	turn, err := f.orientation(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, f.name, err)
	}
	return m.turned(turn), nil
}

// format is a file format.
type format struct {
	name   string
	config func(content []byte) (image.Config, error)
	decode func(content []byte, config image.Config) (*Image, error)
	// orientation reads the orientation of an image that could be decoded; nil
	// for a format without one.
	orientation func(content []byte) (int, error)
}

// configBy reads an image's size with another package's decoder.
func configBy(read func(io.Reader) (image.Config, error)) func([]byte) (image.Config, error) {
	return func(content []byte) (image.Config, error) { return read(bytes.NewReader(content)) }
}

// sniff finds the format by a file's first bytes, regardless of its name.
func sniff(content []byte) (format, bool) {
	switch begins := func(magic string) bool { return bytes.HasPrefix(content, []byte(magic)) }; {
	case begins("\xff\xd8"):
		return format{"JPEG", jpegConfig, decodeJPEG, jpegOrientation}, true
	case begins("\x89PNG\r\n\x1a\n"):
		return format{"PNG", configBy(png.DecodeConfig), decodePNG, pngOrientation}, true
	case begins("GIF87a"), begins("GIF89a"):
		return format{"GIF", configBy(gif.DecodeConfig), decodeGIF, nil}, true
	case begins("BM"):
		return format{"BMP", configBy(bmp.DecodeConfig), decodeBMP, nil}, true
	case begins("RIFF") && len(content) >= 12 && string(content[8:12]) == "WEBP":
		return format{"WebP", webpConfig, decodeWebP, webpOrientation}, true
	}
	return format{}, false
}

func decodePNG(content []byte, config image.Config) (*Image, error) {
	m, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, err //nolint:wrapcheck // Decode adds the format
	}
	out := toRGB
	if config.ColorModel == color.Gray16Model {
		out = clipGray16
	}
	picture := out(m)
	picture.transparent = pngTransparent(content)
	return picture, nil
}

func decodeBMP(content []byte, _ image.Config) (*Image, error) {
	m, err := bmp.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, err //nolint:wrapcheck // Decode adds the format
	}
	return toRGB(m), nil
}
