package imaging_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/imaging"
)

func encodedPNG(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, width, height))))
	return b.Bytes()
}

// lyingPNG says in its header that it has other sizes than it has.
func lyingPNG(t *testing.T, width, height uint32) []byte {
	t.Helper()
	b := encodedPNG(t, 1, 1)
	binary.BigEndian.PutUint32(b[16:], width)
	binary.BigEndian.PutUint32(b[20:], height)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		content []byte
		limits  imaging.Limits
		want    error
	}{
		{"nothing", nil, imaging.Limits{}, imaging.ErrFormat},
		{"text", []byte("GIF of a cat"), imaging.Limits{}, imaging.ErrFormat},
		{"a sound", []byte("RIFF\x00\x00\x00\x00WAVEfmt "), imaging.Limits{}, imaging.ErrFormat},
		{"only a signature", []byte("\x89PNG\r\n\x1a\n"), imaging.Limits{}, imaging.ErrCorrupt},
		{"half a JPEG", []byte("\xff\xd8\xff\xdb\x00\x43"), imaging.Limits{}, imaging.ErrCorrupt},
		{"half a GIF", []byte("GIF89a\x01"), imaging.Limits{}, imaging.ErrCorrupt},
		{"half a BMP", []byte("BM...."), imaging.Limits{}, imaging.ErrCorrupt},
		{"half a WebP", []byte("RIFF\x10\x00\x00\x00WEBPVP8 "), imaging.Limits{}, imaging.ErrCorrupt},
		{"huge by its header", lyingPNG(t, 60_000, 60_000), imaging.Limits{}, imaging.ErrTooLarge},
		{"wider than PNG allows for", lyingPNG(t, 1<<31-1, 1<<31-1), imaging.Limits{}, imaging.ErrCorrupt},
		{"larger than it is", lyingPNG(t, 90, 90), imaging.Limits{}, imaging.ErrCorrupt},
		{"more pixels than allowed", encodedPNG(t, 11, 10), imaging.Limits{Pixels: 109}, imaging.ErrTooLarge},
		{"more bytes than allowed", encodedPNG(t, 10, 10), imaging.Limits{Bytes: 50}, imaging.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := imaging.Decode(bytes.NewReader(c.content), c.limits)
			require.ErrorIs(t, err, c.want)
		})
	}
	_, err := imaging.Decode(bytes.NewReader(encodedPNG(t, 11, 10)), imaging.Limits{Pixels: 110})
	require.NoError(t, err)
	_, err = imaging.Open(t.TempDir(), imaging.Limits{})
	require.ErrorIs(t, err, imaging.ErrFormat)
	_, err = imaging.Open("nowhere.png", imaging.Limits{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A small image may become large in an intermediate step: each step is bounded.
func TestProcessBoundsEachStep(t *testing.T) {
	c, err := imaging.ParseConfig([]byte(`{"image_processor_type": "CLIPImageProcessor"}`), "")
	require.NoError(t, err)
	p := &imaging.Processor{Config: c, Limits: imaging.Limits{Pixels: 1 << 20}}
	_, err = p.Process(imaging.NewImage(1, 100_000)) // 224 x 22,400,000 in between
	require.ErrorIs(t, err, imaging.ErrTooLarge)
	c.Size = imaging.Size{Height: 2, Width: 20_000}
	p.Config = c
	_, err = p.Process(imaging.NewImage(1, 2000)) // 20,000 x 2000 if columns came first; they do not
	require.NoError(t, err)
	c.Size = imaging.Size{Height: 3000, Width: 200}
	p.Config = c
	_, err = p.Process(imaging.NewImage(1, 10_000)) // fits before and after: rows first
	require.NoError(t, err)
	_, err = p.Process(&imaging.Image{Width: 2, Height: 2, Pix: make([]uint8, 3)})
	require.ErrorIs(t, err, imaging.ErrCorrupt)
}

func TestProcessBatch(t *testing.T) {
	c, err := imaging.ParseConfig([]byte(`{"size": {"shortest_edge": 8}, "do_center_crop": false}`), imaging.CLIP)
	require.NoError(t, err)
	p := &imaging.Processor{Config: c}
	out, err := p.Process(imaging.NewImage(16, 32), imaging.NewImage(10, 20))
	require.NoError(t, err)
	require.Equal(t, []int{2, 16, 8}, []int{out.Batch, out.Height, out.Width})
	require.Len(t, out.Data, 2*3*16*8)
	_, err = p.Process(imaging.NewImage(16, 32), imaging.NewImage(20, 10))
	require.ErrorIs(t, err, imaging.ErrShape)
	require.ErrorContains(t, err, "image 2 16x8")
}

// TestParseConfigRefuses verifies that each broken field is named.
func TestParseConfigRefuses(t *testing.T) {
	for text, field := range map[string]string{
		`{`: "", `[]`: "",
		`{"image_processor_type": "BitImageProcessor"}`:      "BitImageProcessor",
		`{"feature_extractor_type": "DetrFeatureExtractor"}`: "DetrFeatureExtractor",
		`{"size": {"max_height": 3}}`:                        "max_height",
		`{"size": {"height": null}}`:                         "height",
		`{"size": {"longest_edge": 3}}`:                      "size",
		`{"size": -1}`:                                       "size",
		`{"size": "big"}`:                                    "size",
		`{"size": [1, 2, 3]}`:                                "size",
		`{"size": 100000}`:                                   "size",
		`{"crop_size": {"shortest_edge": 3}}`:                "crop_size",
		`{"resample": 6}`:                                    "resample",
		`{"image_mean": [1, 2]}`:                             "image_mean",
		`{"image_std": [1, 2, 0]}`:                           "image_std",
		`{"do_pad": true, "pad_size": {"height": 3}}`:        "do_pad",
		`{"resample": null}`:                                 "resample",
		`{"size": null}`:                                     "size",
		`{"rescale_factor": null}`:                           "rescale_factor",
		`{"image_std": null}`:                                "image_std",
		`{"crop_size": null}`:                                "crop_size",
		`{"use_square_size": true}`:                          "use_square_size",
		`{"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0}`:                     "crop_pct",
		`{"image_processor_type": "ConvNextImageProcessor", "size": {"height": 3, "width": 3}}`: "shortest_edge",
	} {
		_, err := imaging.ParseConfig([]byte(text), imaging.CLIP)
		require.ErrorIs(t, err, imaging.ErrConfig, text)
		require.ErrorContains(t, err, field)
	}
	_, err := imaging.ParseConfig([]byte(`{}`), "")
	require.ErrorIs(t, err, imaging.ErrConfig, "no kind")
}

// TestStepsLeftOut verifies that a switch which is null, or 0, leaves its step
// out, as in transformers 5.24.0, and that what belongs to such a step is not
// read.
func TestStepsLeftOut(t *testing.T) {
	c, err := imaging.ParseConfig([]byte(`{"do_resize": null, "do_center_crop": 0, "do_rescale": null, "do_normalize": false, "do_pad": true,
		"size": "x", "crop_size": {"a": 1}, "resample": "y", "rescale_factor": NaN, "image_mean": "z", "image_std": [0], "feature_extractor_type": 3,
		"image_processor_type": "CLIPImageProcessorFast"}`), imaging.ViT)
	require.NoError(t, err)
	require.Equal(t, imaging.CLIP, c.Kind)
	require.False(t, c.DoResize || c.DoCenterCrop || c.DoRescale || c.DoNormalize)
}

func TestParseConfigDefaults(t *testing.T) {
	c, err := imaging.ParseConfig([]byte(`{"Do_Resize": false, "crop_size": null, "foo": NaN}`), imaging.ViT)
	require.NoError(t, err)
	require.Equal(t, imaging.Config{
		Kind: imaging.ViT, DoResize: true, Size: imaging.Size{Height: 224, Width: 224}, Resample: imaging.Bilinear,
		DoRescale: true, Factor: 1.0 / 255, DoNormalize: true,
		Mean: [3]float32{0.5, 0.5, 0.5}, Std: [3]float32{0.5, 0.5, 0.5},
	}, c)
}

func TestLoadProcessor(t *testing.T) {
	dir := t.TempDir()
	_, err := imaging.LoadProcessor(dir, imaging.CLIP)
	require.ErrorIs(t, err, imaging.ErrNoConfig)
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("processor_config.json", `{"processor_class": "CLIPProcessor"}`)
	_, err = imaging.LoadProcessor(dir, imaging.CLIP)
	require.ErrorIs(t, err, imaging.ErrNoConfig)
	write("processor_config.json", `{"image_processor": {"image_processor_type": "ViTImageProcessor", "size": 5}}`)
	p, err := imaging.LoadProcessor(dir, imaging.CLIP)
	require.NoError(t, err)
	require.Equal(t, imaging.Size{Height: 5, Width: 5}, p.Config.Size)
	write("preprocessor_config.json", `{"size": 7}`)
	p, err = imaging.LoadProcessor(dir, imaging.CLIP)
	require.NoError(t, err)
	require.Equal(t, imaging.Size{ShortestEdge: 7}, p.Config.Size)
	write("preprocessor_config.json", `{"size": "7"}`)
	_, err = imaging.LoadProcessor(dir, imaging.CLIP)
	require.ErrorIs(t, err, imaging.ErrConfig)
	require.ErrorContains(t, err, "preprocessor_config.json")
}
