package easyvqa_test

import (
	"context"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/easyvqa"
)

func TestWords(t *testing.T) {
	for question, want := range map[string][]string{
		"what color is the shape?":    {"what", "color", "is", "the", "shape"},
		"Is there NOT a  Red shape?!": {"is", "there", "not", "a", "red", "shape"},
		"it's 2nd-hand":               {"it", "s", "nd", "hand"},
		"\u212aey \u0130s":            {"ey", "s"}, // the Kelvin sign and a dotted I are not letters here
		"":                            {},
		" ?":                          {},
	} {
		require.Equal(t, want, easyvqa.Words(question), question)
	}
}

// TestFeed verifies what a question and an image become.
func TestFeed(t *testing.T) {
	ctx := context.Background()
	m := load(t, modelDir)
	img := image.NewNRGBA(image.Rect(5, 7, 69, 71)) // need not begin at 0, 0
	img.Set(5, 7, color.NRGBA{R: 255, G: 51, A: 255})
	pixels, err := m.Config.Pixels(img)
	require.NoError(t, err)
	require.Len(t, pixels, 3*64*64)
	require.Equal(t, []float32{0.5, float32(51)/255 - 0.5, -0.5}, []float32{pixels[0], pixels[4096], pixels[8192]})
	require.Equal(t, float32(-0.5), pixels[1])

	feed, err := m.Feed(pixels, []easyvqa.Question{{Text: "What color is the shape?"}, {Text: "is there a circle"}})
	require.NoError(t, err)
	words, err := feed["words"].Int32s(ctx)
	require.NoError(t, err)
	require.Equal(t, []int{2, 5}, feed["words"].Shape())
	var read []string
	for _, id := range words {
		read = append(read, m.Config.Vocab[id])
	}
	require.Equal(t, []string{"what", "color", "is", "the", "shape", "is", "there", "a", "circle", ""}, read)

	_, err = m.Config.Pixels(image.NewGray(image.Rect(0, 0, 64, 63)))
	require.ErrorIs(t, err, genie.ErrShape)
	for name, c := range map[string]struct {
		pixels []float32
		q      []easyvqa.Question
		is     error
		says   string
	}{
		"word":        {pixels, []easyvqa.Question{{Text: "is there a hexagon?"}}, easyvqa.ErrWord, "hexagon"},
		"no word":     {pixels, []easyvqa.Question{{Text: "?"}}, easyvqa.ErrWord, "no words"},
		"no question": {pixels, nil, genie.ErrShape, "no questions"},
		"image":       {pixels, []easyvqa.Question{{Image: 1, Text: "what shape is this?"}}, genie.ErrIndexRange, "image 1 of 1"},
		"below":       {pixels, []easyvqa.Question{{Image: -1, Text: "what shape is this?"}}, genie.ErrIndexRange, "image -1"},
		"pixels":      {pixels[1:], []easyvqa.Question{{Text: "is there a circle?"}}, genie.ErrShape, "12287"},
		"no pixels":   {nil, []easyvqa.Question{{Text: "is there a circle?"}}, genie.ErrShape, "not a whole number of images"},
	} {
		_, err := m.Feed(c.pixels, c.q)
		require.ErrorIs(t, err, c.is, name)
		require.ErrorContains(t, err, c.says, name)
	}
	s := session(t, "local:", semantic.Full())
	_, err = m.Answer(ctx, s, pixels, []easyvqa.Question{{Text: "is there a hexagon?"}})
	require.ErrorIs(t, err, easyvqa.ErrWord)
}

func TestBadConfig(t *testing.T) {
	good := `{"model_type": "easy-vqa", "image_size": 8, "channels": [2], "embedding": 2, "features": 2, "vocab": ["", "a"], "answers": ["b"]}`
	_, err := easyvqa.ParseConfig([]byte(good))
	require.NoError(t, err)
	for _, c := range []struct{ from, to, says string }{
		{"{", "", ""},
		{`"easy-vqa"`, `"clip"`, "model_type"},
		{`: 8`, `: 0`, "image_size"},
		{`: 8`, `: 7`, "image_size"},
		{`[2]`, `[]`, "channels"},
		{`[2]`, `[0]`, "channels"},
		{`[2]`, `[1,1,1,1,1,1,1,1,1,1,1,1]`, "channels"},
		{`"embedding": 2`, `"embedding": 0`, "embedding"},
		{`"features": 2`, `"features": -1`, "features"},
		{`["", "a"]`, `["a", "b"]`, "vocab"},
		{`["", "a"]`, `[""]`, "vocab"},
		{`["b"]`, `[]`, "answers"},
	} {
		_, err := easyvqa.ParseConfig([]byte(strings.Replace(good, c.from, c.to, 1)))
		require.ErrorIs(t, err, easyvqa.ErrConfig, c.to)
		require.ErrorContains(t, err, c.says)
	}
}

func TestBadSplit(t *testing.T) {
	sheet, err := os.ReadFile(filepath.Join(splitDir, "images.png"))
	require.NoError(t, err)
	for name, c := range map[string]struct{ questions, sheet, says string }{
		"no JSON":    {"{", string(sheet), "questions.json"},
		"question":   {`{"answers": ["a"], "questions": ["q"], "images": [[[1, 0]]]}`, string(sheet), "question 1"},
		"answer":     {`{"answers": ["a"], "questions": ["q"], "images": [[[0, -1]]]}`, string(sheet), "answer -1"},
		"no sheet":   {`{"images": [[]]}`, "GIF", "images.png"},
		"other size": {`{"images": [[]]}`, string(sheet), "2048x2048 for 1"},
		"cut short":  {`{"images": [` + strings.Repeat("[],", 999) + "[]]}", string(sheet[:len(sheet)/2]), "images.png"},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "questions.json"), []byte(c.questions), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "images.png"), []byte(c.sheet), 0o600))
		_, err := easyvqa.LoadSplit(dir)
		require.ErrorIs(t, err, easyvqa.ErrSplit, name)
		require.ErrorContains(t, err, c.says, name)
	}
	_, err = easyvqa.LoadSplit(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
}
