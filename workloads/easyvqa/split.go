package easyvqa

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
	"os"
	"path/filepath"
)

// ErrSplit marks files of a packed split that are broken.
var ErrSplit = errors.New("genie: unusable easy-VQA split")

const (
	splitSize     = 64 // height and width of an image
	splitColumns  = 32 // images in a row of the sheet
	maxSplitFile  = 64 << 20
	maxSheetTiles = 1 << 16
)

// Split is one half of the data set, as testdata/scripts/easy_vqa_data.py packs
// it.
type Split struct {
	Images    []image.Image // 64x64
	Questions []Question    // ordered by image
	Answers   []string      // the right answer of each question
}

// LoadSplit reads images.png and questions.json of a directory. Errors about
// their content wrap [ErrSplit].
func LoadSplit(dir string) (*Split, error) {
	text, err := readBounded(filepath.Join(dir, "questions.json"))
	if err != nil {
		return nil, err
	}
	var packed struct {
		Answers   []string   `json:"answers"`
		Questions []string   `json:"questions"`
		Images    [][][2]int `json:"images"` // by image: question, answer
	}
	if err := json.Unmarshal(text, &packed); err != nil {
		return nil, fmt.Errorf("%w: questions.json: %w", ErrSplit, err)
	}
	s := &Split{}
	for i, about := range packed.Images {
		for _, qa := range about {
			q, a := qa[0], qa[1]
			if q < 0 || q >= len(packed.Questions) || a < 0 || a >= len(packed.Answers) {
				return nil, fmt.Errorf("%w: questions.json: image %d has question %d, answer %d", ErrSplit, i, q, a)
			}
			s.Questions = append(s.Questions, Question{Image: i, Text: packed.Questions[q]})
			s.Answers = append(s.Answers, packed.Answers[a])
		}
	}
	s.Images, err = readSheet(filepath.Join(dir, "images.png"), len(packed.Images))
	return s, err
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSplitFile+1))
	if err == nil && len(text) > maxSplitFile {
		err = fmt.Errorf("%w: %s is longer than %d bytes", ErrSplit, filepath.Base(path), maxSplitFile)
	}
	return text, err
}

// readSheet cuts the first n images out of a sheet.
func readSheet(path string, n int) ([]image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	bad := func(cause any) error { return fmt.Errorf("%w: %s: %v", ErrSplit, filepath.Base(path), cause) }
	c, err := png.DecodeConfig(f)
	if err != nil {
		return nil, bad(err)
	}
	rows := (n + splitColumns - 1) / splitColumns
	if n < 1 || n > maxSheetTiles || c.Width != splitColumns*splitSize || c.Height != rows*splitSize {
		return nil, bad(fmt.Sprintf("%dx%d for %d images", c.Width, c.Height, n))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	sheet, err := png.Decode(f)
	if err != nil {
		return nil, bad(err)
	}
	flat := image.NewRGBA(sheet.Bounds())
	draw.Draw(flat, flat.Rect, sheet, flat.Rect.Min, draw.Src)
	out := make([]image.Image, n)
	for i := range out {
		at := image.Pt(i%splitColumns*splitSize, i/splitColumns*splitSize)
		out[i] = flat.SubImage(image.Rectangle{Min: at, Max: at.Add(image.Pt(splitSize, splitSize))})
	}
	return out, nil
}
