package easyvqa

import (
	"context"
	"fmt"
	"image"
	"image/draw"

	"github.com/genie-sdk/go/genie"
)

// Question is a question about one of the images of a run.
type Question struct {
	Image int // its index among the images
	Text  string
}

// Pixels are images as the network reads them, f32 [images, 3, size, size]:
// red, green and blue planes, where a byte v becomes v/255 - 1/2. Transparent
// pixels are drawn on black. An image of another size is an error that wraps
// [genie.ErrShape].
func (c Config) Pixels(images ...image.Image) ([]float32, error) {
	plane := c.Size * c.Size
	out := make([]float32, len(images)*colours*plane)
	flat := image.NewRGBA(image.Rect(0, 0, c.Size, c.Size))
	for i, m := range images {
		r := m.Bounds()
		if r.Dx() != c.Size || r.Dy() != c.Size {
			return nil, fmt.Errorf("%w: image %d is %dx%d, the network reads %dx%d", genie.ErrShape, i, r.Dx(), r.Dy(), c.Size, c.Size)
		}
		red := out[i*colours*plane:][:plane]
		green, blue := out[(i*colours+1)*plane:][:plane], out[(i*colours+2)*plane:][:plane]
		draw.Draw(flat, flat.Rect, m, r.Min, draw.Src)
		for p := range plane {
			red[p], green[p], blue[p] = normal(flat.Pix[4*p]), normal(flat.Pix[4*p+1]), normal(flat.Pix[4*p+2])
		}
	}
	return out, nil
}

func normal(v uint8) float32 { return float32(v)/255 - 0.5 }

// Feed makes the inputs of a run: pixels from [Config.Pixels] and questions
// about them. Errors wrap [ErrWord], [genie.ErrShape] or, for an image that
// does not exist, [genie.ErrIndexRange].
func (m *Model) Feed(pixels []float32, questions []Question) (genie.Feed, error) {
	one := colours * m.Config.Size * m.Config.Size
	if len(pixels) == 0 || len(pixels)%one != 0 {
		return nil, fmt.Errorf("%w: %d pixels are not a whole number of images of %d", genie.ErrShape, len(pixels), one)
	}
	if len(questions) == 0 {
		return nil, fmt.Errorf("%w: no questions", genie.ErrShape)
	}
	n := len(pixels) / one
	which := make([]int32, len(questions))
	for i, q := range questions {
		if q.Image < 0 || q.Image >= n {
			return nil, fmt.Errorf("%w: question %d is about image %d of %d", genie.ErrIndexRange, i, q.Image, n)
		}
		which[i] = int32(q.Image)
	}
	words, longest, err := m.vocab.encodeAll(questions)
	if err != nil {
		return nil, err
	}
	return genie.Feed{
		"pixels": genie.Float32s(pixels, n, colours, m.Config.Size, m.Config.Size),
		"image":  genie.Int32s(which, len(which)),
		"words":  genie.Int32s(words, len(which), longest),
	}, nil
}

// Answer answers questions about images in one run. Only the answers are
// downloaded, if the client's policy lets the executor compute them. Errors are
// those of [Model.Feed] and of [genie.Session.Run].
func (m *Model) Answer(ctx context.Context, s *genie.Session, pixels []float32, questions []Question) ([]string, error) {
	feed, err := m.Feed(pixels, questions)
	if err != nil {
		return nil, err
	}
	out, err := s.Run(ctx, feed, m.Best)
	if err != nil {
		return nil, err
	}
	best, err := out[0].Int32s(ctx)
	if err != nil {
		return nil, err
	}
	answers := make([]string, len(best))
	for i, class := range best {
		if class < 0 || int(class) >= len(m.Config.Answers) {
			return nil, fmt.Errorf("%w: answer %d of %d came back", genie.ErrIndexRange, class, len(m.Config.Answers))
		}
		answers[i] = m.Config.Answers[class]
	}
	return answers, nil
}
