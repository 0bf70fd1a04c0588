package imaging

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzJPEG encodes images made of bytes and compares this decoder's luma with
// Go's, which rounds differently, and so by one.
func FuzzJPEG(f *testing.F) {
	f.Add([]byte("some pixels, whatever they are"), byte(7), byte(80), false)
	f.Add([]byte{0, 255, 0, 255, 255, 0}, byte(33), byte(1), true)
	f.Fuzz(func(t *testing.T, pixels []byte, width, quality byte, grey bool) {
		wide := 1 + int(width)%40
		high := 1 + len(pixels)/wide%40
		if len(pixels) == 0 {
			return
		}
		at := func(i int) byte { return pixels[i%len(pixels)] }
		var m image.Image
		if grey {
			g := image.NewGray(image.Rect(0, 0, wide, high))
			for i := range g.Pix {
				g.Pix[i] = at(i)
			}
			m = g
		} else {
			c := image.NewRGBA(image.Rect(0, 0, wide, high))
			for i := range c.Pix {
				c.Pix[i] = at(i)
			}
			m = c
		}
		var b bytes.Buffer
		require.NoError(t, jpeg.Encode(&b, m, &jpeg.Options{Quality: 1 + int(quality)%100}))
		theirs, err := jpeg.Decode(bytes.NewReader(b.Bytes()))
		require.NoError(t, err)
		ours, err := Decode(bytes.NewReader(b.Bytes()), Limits{})
		require.NoError(t, err)
		require.Equal(t, theirs.Bounds(), image.Rect(0, 0, ours.Width, ours.Height))
		d := &jpegDecoder{bits: jpegBits{data: b.Bytes(), at: 2}}
		require.NoError(t, d.segments(false))
		luma := d.plane(&d.channels[0], false)
		for y := range high {
			for x, v := range luma.row(y) {
				var want uint8
				switch p := theirs.(type) {
				case *image.Gray:
					want = p.Pix[p.PixOffset(x, y)]
				case *image.YCbCr:
					want = p.Y[p.YOffset(x, y)]
				}
				require.InDelta(t, want, v, 1, "at %d,%d", x, y)
			}
		}
	})
}

// FuzzParseConfig: a processor works for images of every size, or the config is
// refused.
func FuzzParseConfig(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"image_processor_type":"CLIPImageProcessor","size":{"shortest_edge":8},"crop_size":8}`,
		`{"image_processor_type":"ConvNextFeatureExtractor","size":3,"crop_pct":0.5}`,
		`{"image_processor_type":"ViTImageProcessorFast","size":[3,5],"image_mean":1e30,"image_std":[1,2,-3]}`, `{"size":null,"resample":9}`,
	} {
		f.Add([]byte(text), byte(3), byte(9))
	}
	f.Fuzz(func(t *testing.T, text []byte, width, height byte) {
		c, err := ParseConfig(text, CLIP)
		if err != nil {
			require.ErrorIs(t, err, ErrConfig)
			return
		}
		if c.Size.Height > 64 || c.Size.Width > 64 || c.Size.ShortestEdge > 64 || c.CropSize.Height > 64 || c.CropSize.Width > 64 {
			return
		}
		p := &Processor{Config: c, Limits: Limits{Pixels: 1 << 16}}
		batch, err := p.Process(NewImage(1+int(width)%64, 1+int(height)%64))
		if err != nil {
			require.True(t, errors.Is(err, ErrTooLarge) || errors.Is(err, ErrShape), "%v", err)
			return
		}
		require.Len(t, batch.Data, 3*batch.Batch*batch.Height*batch.Width)
	})
}
