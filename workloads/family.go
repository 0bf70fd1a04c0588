package workloads

import (
	"context"
	"errors"
	"log/slog"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/generation"
	"github.com/genie-sdk/go/workloads/tokenizer"
)

// ErrSizes marks sizes of a run that a model does not accept: a text longer
// than its context, or an image of another size than the model's.
var ErrSizes = errors.New("genie: sizes that the model does not take")

// Family is a family of models: all that a command or a test which accepts any
// model knows about it. The package of a family makes it, and package families
// lists them.
type Family struct {
	// Name is the family's model_type in config.json.
	Name string
	// Title is the display name, such as GPT-2.
	Title string
	// Types are further values of model_type that the family's loader accepts.
	Types []string
	// Untyped is true of the family of a config.json without model_type.
	Untyped bool
	// Sizes are the sizes of a run that its user chooses.
	Sizes []Size
	// ImageProcessor is the image processor of a classifier of images, where
	// preprocessor_config.json names none: CLIP, ConvNext or ViT. It is "" for other
	// models.
	ImageProcessor string
	// Generates is true of language models, whose Load returns a LanguageModel.
	Generates bool
	// Presets are the published architectures that can be written with random
	// weights, smallest first. It is nil for a family without any.
	Presets func() []Preset
	// Load captures the model in a folder.
	Load func(ctx context.Context, dir string, opts FamilyOptions) (*FamilyModel, error)
}

// Takes reports whether a run of the family has a size of this name.
func (f Family) Takes(name string) bool {
	for _, s := range f.Sizes {
		if s.Name == name {
			return true
		}
	}
	return false
}

// Names of a [Size].
const (
	SizeBatch = "batch"
	SizeTexts = "texts"
	SizeSeq   = "seq"
	SizePast  = "past" // rows in a cache: the model has one, and runs in phases
)

// Size is a size of a run that its user chooses.
type Size struct {
	Name string // SizeBatch, SizeTexts, SizeSeq or SizePast
	Of   string // what is counted: images, tokens of a text
}

// Sizes are the sizes of a run by name. A Seq of 0 is the longest that the
// model accepts, in a model without a cache.
type Sizes struct{ Batch, Texts, Seq, Past int }

// FamilyOptions configure the Load of a [Family]. The zero value is ready to use.
type FamilyOptions struct {
	// Height and Width are those of the images of a classifier; 0 means the
	// model's own size.
	Height, Width int
	// Progress reports the bytes of weights that have been hashed, which happens once
	// for each checkpoint.
	Progress transport.Progress
	// Hashes selects where to store the hashes of the weights: a folder;
	// "cache", the default, for genie/hashes in the user's cache folder;
	// "model" for genie-hashes.json beside the model; "off" for nowhere.
	Hashes string
	// Logger reports, at warn, faults of a checkpoint that is still usable. Nil
	// discards.
	Logger *slog.Logger
}

// FamilyModel is a model of a family captured as a program.
type FamilyModel struct {
	Graph *lazy.Graph
	// Outputs are those of a usual run; none means all that the graph declares.
	Outputs []lazy.Named
	// Bind gives the symbols of the graph their sizes. Its errors wrap [ErrSizes].
	Bind func(Sizes) (plan.Bindings, error)
	// Classifier is nil unless the family has an ImageProcessor.
	Classifier *Classifier
	// Language is nil unless the family Generates.
	Language *LanguageModel
	// Close unmaps the weights.
	Close func() error
}

// LanguageModel generates tokens.
type LanguageModel struct {
	// LM is the captured program, for genie.Generate. It ends at the tokens in
	// the settings and refuses settings that would change the tokens.
	LM *genie.CausalLM
	// Settings are the checkpoint's generation settings.
	Settings *generation.Settings
	// Tokenizer is nil for a folder without a usable tokenizer.json;
	// TokenizerErr is the reason. Token ids need no tokenizer.
	Tokenizer    *tokenizer.Tokenizer
	TokenizerErr error
	// Vocab is the number of logits of a token.
	Vocab int
}

// Classifier describes the inputs and outputs of a classifier of images.
type Classifier struct {
	// Pixels is the name of the input, f32 [batch, channels, height, width].
	Pixels string
	// Logits is the output, f32 [batch, classes].
	Logits *lazy.Tensor
	// Labels are the names of the classes by their number in decimal.
	Labels map[string]string
}

// Preset is a published architecture. A number that a model does not have is 0.
type Preset struct {
	Name       string
	Parameters int64 // running statistics included
	Layers     int   // of all parts
	Hidden     int   // the widest
	Heads      int
	Vocab      int
	Context    int // tokens
	Image      int // height and width
	Classes    int
	// Write writes a checkpoint of the preset with random weights.
	Write NewCheckpoint
}
