package imaging

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/genie-sdk/go/internal/pyjson"
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
// and Width, or ShortestEdge and optionally LongestEdge. Fields that are not
// given are 0.
type Size struct{ Height, Width, ShortestEdge, LongestEdge int }

// Config is the steps of a processor, in this order.
type Config struct {
	Kind Kind

	// ConvertRGB draws images that have a transparent colour, but no alpha, on
	// white.
	ConvertRGB bool

	DoResize bool
	Size     Size
	Resample Filter
	CropPct  float64 // ConvNext: the share of the resized image that is cropped

	DoCenterCrop bool
	CropSize     Size // Height and Width

	DoRescale bool
	Factor    float64 // factor of the pixels

	DoNormalize bool
	Mean, Std   [3]float32 // by channel, after rescaling
}

// maxEdge bounds a size in a config, far above the sizes of models.
const maxEdge = 1 << 16

// defaults are the defaults of transformers' classes.
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

// ParseConfig reads preprocessor_config.json. otherwise is the kind of a file
// that does not name its processor. As in transformers, a step whose switch is
// null is left out, and the settings of such a step are ignored. Errors wrap
// [ErrConfig] and name the field.
func ParseConfig(text []byte, otherwise Kind) (Config, error) {
	f, err := pyjson.Parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	kind, err := kindOf(f, otherwise)
	if err != nil {
		return Config{}, err
	}
	c := defaults(kind)
	for _, s := range []struct {
		field string
		to    *bool
	}{
		{"do_convert_rgb", &c.ConvertRGB}, {"do_resize", &c.DoResize}, {"do_center_crop", &c.DoCenterCrop}, {"do_rescale", &c.DoRescale}, {"do_normalize", &c.DoNormalize},
	} {
		if _, there := f[s.field]; there {
			*s.to = f.Truthy(s.field)
		}
	}
	if err := readSteps(f, &c); err != nil {
		return Config{}, err
	}
	return c, c.check()
}

// readSteps takes the settings of the enabled steps.
func readSteps(f pyjson.Object, c *Config) error {
	r, resample := f.Reader(), int(c.Resample)
	if c.DoResize {
		// Only ViT takes a single number for both edges.
		if err := parseSize("size", f, c.Kind == ViT, &c.Size); err != nil {
			return err
		}
		r.Int("resample", &resample)
		c.Resample = Filter(resample)
		if c.Kind == ConvNext {
			r.Float("crop_pct", &c.CropPct)
		}
	}
	if c.DoCenterCrop {
		if err := parseSize("crop_size", f, true, &c.CropSize); err != nil {
			return err
		}
	}
	if c.DoRescale {
		r.Float("rescale_factor", &c.Factor)
	}
	if c.DoNormalize {
		for field, to := range map[string]*[3]float32{"image_mean": &c.Mean, "image_std": &c.Std} {
			if err := parseChannels(field, f, to); err != nil {
				return err
			}
		}
	}
	for field, used := range map[string]bool{
		"resample": c.DoResize, "crop_pct": c.DoResize && c.Kind == ConvNext, "rescale_factor": c.DoRescale,
	} {
		if used && isNull(f, field) {
			return fmt.Errorf("%w: %s is null", ErrConfig, field)
		}
	}
	switch {
	case r.Err() != nil:
		return fmt.Errorf("%w: %w", ErrConfig, r.Err())
	case c.Kind == ConvNext: // which has neither step
		return nil
	case f.Truthy("do_pad") && f.Given("pad_size"):
		return fmt.Errorf("%w: do_pad with pad_size is not supported", ErrConfig)
	case f.Truthy("use_square_size"):
		return fmt.Errorf("%w: use_square_size is not supported", ErrConfig)
	}
	return nil
}

func isNull(f pyjson.Object, field string) bool {
	_, there := f[field]
	return there && !f.Given(field)
}

// kindOf reads the class's name, with the suffixes that transformers has added
// over time.
func kindOf(f pyjson.Object, otherwise Kind) (Kind, error) {
	name := ""
	for _, field := range []string{"image_processor_type", "feature_extractor_type"} { // the field's name in old files
		if !f.Given(field) {
			continue
		}
		r := f.Reader()
		if r.String(field, &name); r.Err() != nil {
			return "", fmt.Errorf("%w: %w", ErrConfig, r.Err())
		}
		break
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
func parseSize(field string, f pyjson.Object, square bool, to *Size) error {
	text, there := f[field]
	if !there {
		return nil
	}
	var pair []int
	var object map[string]*int
	n, number := pyjson.Integer(text)
	switch {
	case number && square:
		*to = Size{Height: n, Width: n}
	case number:
		*to = Size{ShortestEdge: n}
	case json.Unmarshal(text, &pair) == nil && len(pair) == 2:
		*to = Size{Height: pair[0], Width: pair[1]}
	case json.Unmarshal(text, &object) == nil && object != nil:
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
func parseChannels(field string, f pyjson.Object, to *[3]float32) error {
	text, there := f[field]
	if !there {
		return nil
	}
	var each []float32
	one, number := pyjson.Number(text)
	switch {
	case number:
		*to = [3]float32{float32(one), float32(one), float32(one)}
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
	case c.DoResize && c.Resample != Nearest && !convolves:
		return fmt.Errorf("%w: resample is %d, not 0 to 5", ErrConfig, c.Resample)
	case c.DoResize && c.Kind == ConvNext && !(c.CropPct > 0.01 && c.CropPct <= 1):
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
