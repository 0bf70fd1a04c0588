package imaging

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// Kind is a family of image processors of transformers.
type Kind string

// The families.
const (
	CLIP     Kind = "CLIP"     // CLIPImageProcessor
	ConvNext Kind = "ConvNext" // ConvNextImageProcessor: ConvNeXt and ResNet
	ViT      Kind = "ViT"      // ViTImageProcessor
)

// Size is a size in pixels as preprocessor_config.json gives it: both Height
// and Width, or ShortestEdge and maybe LongestEdge. What is 0 is not given.
type Size struct{ Height, Width, ShortestEdge, LongestEdge int }

// Config says what a processor does, in this order.
type Config struct {
	Kind Kind

	// ConvertRGB lays pictures that have a transparent colour, but no alpha, on
	// white.
	ConvertRGB bool

	DoResize bool
	Size     Size
	Resample Filter
	CropPct  float64 // ConvNext: the share of the resized picture that is kept

	DoCenterCrop bool
	CropSize     Size // Height and Width

	DoRescale bool
	Factor    float64 // pixels are multiplied by it

	DoNormalize bool
	Mean, Std   [3]float32 // by channel, after rescaling
}

// maxEdge bounds a size in a config, far above what models take.
const maxEdge = 1 << 16

// configFile is preprocessor_config.json. What is null is as if it were absent.
type configFile struct {
	ImageProcessorType   string          `json:"image_processor_type"`
	FeatureExtractorType string          `json:"feature_extractor_type"` // its name in old files
	ConvertRGB           *bool           `json:"do_convert_rgb"`
	DoResize             *bool           `json:"do_resize"`
	Size                 json.RawMessage `json:"size"`
	Resample             *Filter         `json:"resample"`
	CropPct              *float64        `json:"crop_pct"`
	DoCenterCrop         *bool           `json:"do_center_crop"`
	CropSize             json.RawMessage `json:"crop_size"`
	DoRescale            *bool           `json:"do_rescale"`
	Factor               *float64        `json:"rescale_factor"`
	DoNormalize          *bool           `json:"do_normalize"`
	Mean                 json.RawMessage `json:"image_mean"`
	Std                  json.RawMessage `json:"image_std"`
	DoPad                *bool           `json:"do_pad"`
	SquareSize           *bool           `json:"use_square_size"`
}

// defaults are what transformers' classes have where the file is silent.
func defaults(kind Kind) Config {
	c := Config{Kind: kind, DoResize: true, DoRescale: true, Factor: 1.0 / 255, DoNormalize: true}
	switch kind {
	case CLIP:
		c.ConvertRGB = true
		c.Size, c.Resample = Size{ShortestEdge: 224}, Bicubic
		c.DoCenterCrop, c.CropSize = true, Size{Height: 224, Width: 224}
		c.Mean = [3]float32{0.48145466, 0.4578275, 0.40821073}
		c.Std = [3]float32{0.26862954, 0.26130258, 0.27577711}
	case ConvNext:
		c.Size, c.Resample, c.CropPct = Size{ShortestEdge: 384}, Bicubic, 224.0/256
		c.Mean, c.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}
	case ViT:
		c.Size, c.Resample = Size{Height: 224, Width: 224}, Bilinear
		c.Mean, c.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}
	}
	return c
}

// ParseConfig reads preprocessor_config.json. A file that does not name its
// processor is of kind otherwise. Errors wrap [ErrConfig] and name the field.
func ParseConfig(text []byte, otherwise Kind) (Config, error) {
	var f configFile
	if err := json.Unmarshal(text, &f); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	kind, err := f.kind(otherwise)
	if err != nil {
		return Config{}, err
	}
	c := defaults(kind)
	set(&c.ConvertRGB, f.ConvertRGB)
	set(&c.DoResize, f.DoResize)
	set(&c.Resample, f.Resample)
	set(&c.CropPct, f.CropPct)
	set(&c.DoCenterCrop, f.DoCenterCrop)
	set(&c.DoRescale, f.DoRescale)
	set(&c.Factor, f.Factor)
	set(&c.DoNormalize, f.DoNormalize)
	// Only ViT takes a lone number as both edges.
	if err := parseSize("size", f.Size, kind == ViT, &c.Size); err != nil {
		return Config{}, err
	}
	if err := parseSize("crop_size", f.CropSize, true, &c.CropSize); err != nil {
		return Config{}, err
	}
	if err := parseChannels("image_mean", f.Mean, &c.Mean); err != nil {
		return Config{}, err
	}
	if err := parseChannels("image_std", f.Std, &c.Std); err != nil {
		return Config{}, err
	}
	for name, on := range map[string]*bool{"do_pad": f.DoPad, "use_square_size": f.SquareSize} {
		if on != nil && *on {
			return Config{}, fmt.Errorf("%w: %s is not supported", ErrConfig, name)
		}
	}
	return c, c.check()
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// kind reads the class's name, with what transformers has appended over time.
func (f *configFile) kind(otherwise Kind) (Kind, error) {
	name := f.ImageProcessorType
	if name == "" {
		name = f.FeatureExtractorType
	}
	if name == "" {
		return otherwise, nil
	}
	base := strings.TrimSuffix(strings.TrimSuffix(name, "Fast"), "Pil")
	base = strings.TrimSuffix(strings.TrimSuffix(base, "ImageProcessor"), "FeatureExtractor")
	switch kind := Kind(base); kind {
	case CLIP, ConvNext, ViT:
		return kind, nil
	}
	return "", fmt.Errorf("%w: image_processor_type is %.60q; there are CLIPImageProcessor, ConvNextImageProcessor and ViTImageProcessor", ErrConfig, name)
}

// parseSize reads a size: a number, [height, width], or an object.
func parseSize(field string, text json.RawMessage, square bool, to *Size) error {
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	var n int
	var pair []int
	var object map[string]*int
	switch {
	case json.Unmarshal(text, &n) == nil && square:
		*to = Size{Height: n, Width: n}
	case json.Unmarshal(text, &n) == nil:
		*to = Size{ShortestEdge: n}
	case json.Unmarshal(text, &pair) == nil && len(pair) == 2:
		*to = Size{Height: pair[0], Width: pair[1]}
	case json.Unmarshal(text, &object) == nil:
		s := Size{}
		edges := map[string]*int{
			"height": &s.Height, "width": &s.Width, "shortest_edge": &s.ShortestEdge, "longest_edge": &s.LongestEdge,
		}
		for key, value := range object {
			if edges[key] == nil || value == nil {
				return fmt.Errorf("%w: %s has %.40q", ErrConfig, field, key)
			}
			*edges[key] = *value
		}
		*to = s
	default:
		return fmt.Errorf("%w: %s is %.60s", ErrConfig, field, text)
	}
	for _, edge := range []int{to.Height, to.Width, to.ShortestEdge, to.LongestEdge} {
		if edge < 0 || edge > maxEdge {
			return fmt.Errorf("%w: %s is %.60s", ErrConfig, field, text)
		}
	}
	return nil
}

// parseChannels reads a number for all channels or one for each.
func parseChannels(field string, text json.RawMessage, to *[3]float32) error {
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	var one float32
	var each []float32
	switch {
	case json.Unmarshal(text, &one) == nil:
		*to = [3]float32{one, one, one}
	case json.Unmarshal(text, &each) == nil && len(each) == 3:
		*to = [3]float32(each)
	default:
		return fmt.Errorf("%w: %s is %.60s, not a number for each of 3 channels", ErrConfig, field, text)
	}
	return nil
}

// exact and shortest are the two forms of a size.
func (s Size) exact() bool {
	return s.Height > 0 && s.Width > 0 && s.ShortestEdge == 0 && s.LongestEdge == 0
}

func (s Size) shortest() bool { return s.ShortestEdge > 0 && s.Height == 0 && s.Width == 0 }

func (c Config) check() error {
	_, convolves := c.Resample.kernel()
	switch {
	case c.Kind != CLIP && c.Kind != ConvNext && c.Kind != ViT:
		return fmt.Errorf("%w: image_processor_type is missing", ErrConfig)
	case c.DoResize && !c.Size.exact() && !c.Size.shortest():
		return fmt.Errorf("%w: size needs height and width, or shortest_edge", ErrConfig)
	case c.DoResize && c.Kind == ConvNext && !c.Size.shortest():
		return fmt.Errorf("%w: size needs shortest_edge", ErrConfig)
	case c.Resample != Nearest && !convolves:
		return fmt.Errorf("%w: resample is %d, not 0 to 5", ErrConfig, c.Resample)
	case c.Kind == ConvNext && !(c.CropPct > 0.01 && c.CropPct <= 1):
		return fmt.Errorf("%w: crop_pct is %g, not above 0.01 and up to 1", ErrConfig, c.CropPct)
	case c.DoCenterCrop && !c.CropSize.exact():
		return fmt.Errorf("%w: crop_size needs height and width", ErrConfig)
	case c.DoRescale && (math.IsNaN(c.Factor) || math.IsInf(c.Factor, 0)):
		return fmt.Errorf("%w: rescale_factor is %g", ErrConfig, c.Factor)
	}
	for _, std := range c.Std {
		if c.DoNormalize && std == 0 {
			return fmt.Errorf("%w: image_std is 0", ErrConfig)
		}
	}
	return nil
}
