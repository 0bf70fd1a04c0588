package easyvqa

import (
	"errors"
	"fmt"

	"github.com/genie-sdk/go/workloads/checkpoint"
)

// ErrConfig marks a config.json that is broken or that this package does not
// support.
var ErrConfig = errors.New("genie: unusable easy-VQA config")

// Upper bounds of a config, far above any network of this kind.
const (
	maxSize   = 1 << 10
	maxLayers = 10
	maxWidth  = 1 << 14
	maxList   = 1 << 16
)

// Config is the architecture and the words of a network, as config.json gives
// them.
type Config struct {
	ModelType string // model_type
	Size      int    // image_size, height and width of an image
	Channels  []int  // channels of each convolution, which halves the image
	Embedding int    // embedding, width of a word
	Features  int    // features, width of each branch where they meet
	// Vocab is the words of questions by id. The first is the empty word, which
	// fills short questions.
	Vocab   []string
	Answers []string // by class
}

// ParseConfig reads config.json. Other fields are ignored. Errors wrap
// [ErrConfig] and name the field.
func ParseConfig(text []byte) (Config, error) {
	file, err := checkpoint.ParseConfig(text)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	var c Config
	r := file.Reader()
	r.String("model_type", &c.ModelType)
	r.Int("image_size", &c.Size)
	r.Ints("channels", &c.Channels)
	r.Int("embedding", &c.Embedding)
	r.Int("features", &c.Features)
	r.Strings("vocab", &c.Vocab)
	r.Strings("answers", &c.Answers)
	if err := r.Err(); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, c.check()
}

func (c Config) check() error {
	if c.ModelType != "easy-vqa" {
		return fmt.Errorf("%w: model_type is %.40q, not easy-vqa", ErrConfig, c.ModelType)
	}
	if n := len(c.Channels); n < 1 || n > maxLayers {
		return fmt.Errorf("%w: channels are %d numbers", ErrConfig, n)
	}
	for _, n := range c.Channels {
		if n < 1 || n > maxWidth {
			return fmt.Errorf("%w: channels of %d", ErrConfig, n)
		}
	}
	switch {
	case c.Size < 1 || c.Size > maxSize || c.Size%(1<<len(c.Channels)) != 0:
		return fmt.Errorf("%w: image_size is %d, which cannot be halved %d times", ErrConfig, c.Size, len(c.Channels))
	case c.Embedding < 1 || c.Embedding > maxWidth:
		return fmt.Errorf("%w: embedding is %d", ErrConfig, c.Embedding)
	case c.Features < 1 || c.Features > maxWidth:
		return fmt.Errorf("%w: features is %d", ErrConfig, c.Features)
	case len(c.Vocab) < 2 || len(c.Vocab) > maxList || c.Vocab[pad] != "":
		return fmt.Errorf("%w: vocab of %d words, want the empty one and others", ErrConfig, len(c.Vocab))
	case len(c.Answers) < 1 || len(c.Answers) > maxList:
		return fmt.Errorf("%w: answers are %d", ErrConfig, len(c.Answers))
	}
	return nil
}
