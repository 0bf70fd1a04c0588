package imaging

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/genie-sdk/go/internal/pyjson"
)

// Processor turns an image into a model's input. It is immutable and safe for
// concurrent use.
type Processor struct {
	Config Config
	// Limits bound the intermediate steps: an image of 1 x 1,000,000 pixels
	// whose shortest edge becomes 224 has 50 billion.
	Limits Limits
}

// Pixels are preprocessed images, float32 [Batch, 3, Height, Width].
type Pixels struct {
	Batch, Height, Width int
	Data                 []float32
}

// LoadProcessor reads preprocessor_config.json in dir, or the image part of
// processor_config.json, where transformers 5 stores it for models with several
// kinds of input. otherwise is the kind of a file that does not name its
// processor. The error wraps [ErrNoConfig] or [ErrConfig], or is the system's.
func LoadProcessor(dir string, otherwise Kind) (*Processor, error) {
	path := filepath.Join(dir, "preprocessor_config.json")
	text, err := readConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		whole := filepath.Join(dir, "processor_config.json")
		text, err = readConfig(whole)
		if err == nil {
			file, err := pyjson.Parse(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w: %w", whole, ErrConfig, err)
			}
			text = file["image_processor"]
		}
		if errors.Is(err, fs.ErrNotExist) || err == nil && text == nil {
			return nil, fmt.Errorf("%w: %s", ErrNoConfig, path)
		}
		path = whole
	}
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(text, otherwise)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Processor{Config: c}, nil
}

func readConfig(path string) ([]byte, error) {
	const most = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > most {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", path, ErrConfig, most)
	}
	return text, nil
}

// Process makes one tensor of images. The error wraps [ErrShape] when they do
// not become the same size, which happens if a config has no exact one, and
// [ErrTooLarge] when a step would exceed the limits.
func (p *Processor) Process(images ...*Image) (Pixels, error) {
	var out Pixels
	tables := p.tables()
	for i, m := range images {
		if err := m.check(); err != nil {
			return Pixels{}, err
		}
		m, err := p.fit(m)
		if err != nil {
			return Pixels{}, err
		}
		if i == 0 {
			out = Pixels{Height: m.Height, Width: m.Width, Data: make([]float32, 0, len(images)*len(m.Pix))}
		}
		if m.Height != out.Height || m.Width != out.Width {
			return Pixels{}, fmt.Errorf("%w: the first %dx%d, image %d %dx%d (width x height)",
				ErrShape, out.Width, out.Height, i+1, m.Width, m.Height)
		}
		for c := range 3 {
			for at := c; at < len(m.Pix); at += 3 {
				out.Data = append(out.Data, tables[c][m.Pix[at]])
			}
		}
		out.Batch++
	}
	return out, nil
}

// tables are the values of a channel for each byte. As in numpy, rescaling is
// in float64 and rounded to float32; normalisation is in float32.
func (p *Processor) tables() (out [3][256]float32) {
	c := p.Config
	for channel := range out {
		for v := range 256 {
			x := float32(v)
			if c.DoRescale {
				x = float32(float64(v) * c.Factor)
			}
			if c.DoNormalize {
				x = float32(x-c.Mean[channel]) / c.Std[channel]
			}
			out[channel][v] = x
		}
	}
	return out
}

// fit makes an image opaque, resizes and crops it.
func (p *Processor) fit(m *Image) (*Image, error) {
	var err error
	c := p.Config
	if c.ConvertRGB {
		m = m.onWhite()
	}
	switch {
	case !c.DoResize:
	case c.Kind == ConvNext:
		m, err = p.fitConvNext(m)
	default:
		width, height := c.Size.of(m)
		m, err = m.Resize(width, height, c.Resample, p.Limits)
	}
	if err != nil || !c.DoCenterCrop {
		return m, err
	}
	return m.centerCrop(c.CropSize.Width, c.CropSize.Height), nil
}

// fitConvNext crops a share of the image's middle below 384 pixels, and from
// there on squeezes the whole image (transformers,
// ConvNextImageProcessor.resize).
func (p *Processor) fitConvNext(m *Image) (*Image, error) {
	c, edge := p.Config, p.Config.Size.ShortestEdge
	if edge >= 384 {
		return m.Resize(edge, edge, c.Resample, p.Limits)
	}
	size := Size{ShortestEdge: int(float64(edge) / c.CropPct)}
	width, height := size.of(m)
	m, err := m.Resize(width, height, c.Resample, p.Limits)
	if err != nil {
		return nil, err
	}
	return m.centerCrop(edge, edge), nil
}

// of is the size of an image after resizing it to s. Fractions are truncated.
func (s Size) of(m *Image) (width, height int) {
	if s.exact() {
		return s.Width, s.Height
	}
	short, long := min(m.Width, m.Height), max(m.Width, m.Height)
	shorter, longer := s.ShortestEdge, float64(s.ShortestEdge)
	if s.LongestEdge > 0 && float64(long)/float64(short)*longer > float64(s.LongestEdge) {
		// The longer edge decides; the shorter one is rounded, halves to even.
		longer = float64(s.LongestEdge) * float64(short) / float64(long)
		shorter = max(1, int(math.RoundToEven(longer)))
	}
	n := shorter
	if short != long {
		n = int(longer * float64(long) / float64(short))
	}
	if m.Width <= m.Height {
		return shorter, n
	}
	return n, shorter
}
