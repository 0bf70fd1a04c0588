package randomweights

import (
	"encoding/json"
	"fmt"
)

// PreprocessorFile is the file that describes how images become pixels, as
// transformers names it.
const PreprocessorFile = "preprocessor_config.json"

// Preprocessing describes how a photograph becomes the pixels of a model: the
// shorter edge is resized to Resize, the centre Crop x Crop is cut out, and
// channels are normalised.
type Preprocessing struct {
	Resize, Crop int
	Mean, Std    [3]float64
}

// bicubic is PIL's number of the filter.
const bicubic = 3

// JSON is a preprocessor_config.json that transformers can read.
func (p Preprocessing) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(map[string]any{
		"image_processor_type": "CLIPImageProcessor",
		"do_convert_rgb":       true,
		"do_resize":            true,
		"size":                 map[string]int{"shortest_edge": p.Resize},
		"resample":             bicubic,
		"do_center_crop":       true,
		"crop_size":            map[string]int{"height": p.Crop, "width": p.Crop},
		"do_rescale":           true,
		"rescale_factor":       1.0 / 255,
		"do_normalize":         true,
		"image_mean":           p.Mean,
		"image_std":            p.Std,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", PreprocessorFile, err)
	}
	return append(text, '\n'), nil
}
