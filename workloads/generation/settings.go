package generation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/pyjson"
)

// ErrSetting marks generation settings of a checkpoint that are not
// supported here and that would change the tokens.
var ErrSetting = errors.New("genie: unsupported generation setting")

const (
	settingsFile = "generation_config.json"
	maxBytes     = 1 << 20
)

// Settings are the generation settings of a checkpoint: those of
// generation_config.json, or of config.json if there is no such file, as in
// transformers.
type Settings struct {
	// EOS are the tokens that end a sequence, restricted to those in the
	// vocabulary.
	EOS []int
	// Sample says that tokens are sampled, with Temperature, TopK and TopP.
	// Their defaults are those of transformers: 1, 50 and 1.
	Sample            bool
	Temperature, TopP float32
	TopK              int
	// MaxNew is the maximum number of new tokens, MaxLength that of all tokens
	// including the prompt; 0 if the file has none.
	MaxNew, MaxLength int
	// StopStrings are strings that end a generation.
	StopStrings []string

	file   string // file with the settings
	values pyjson.Object
	err    error // a setting of the wrong type
	bad    error // the same for end tokens
}

// Load reads the settings of the checkpoint in dir, whose config.json
// is config, and the end tokens outside a vocabulary of that size.
func Load(dir string, config []byte, vocab int) (*Settings, []int, error) {
	path := filepath.Join(dir, settingsFile)
	o, err := pyjson.ReadFile(path, maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(dir, "config.json")
		o, err = pyjson.Parse(config)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSetting, err)
	}
	g, never := newSettings(path, o, vocab)
	return g, never, nil
}

// newSettings takes the settings of a file, and the end tokens outside a
// vocabulary of that size.
func newSettings(path string, o pyjson.Object, vocab int) (g *Settings, never []int) {
	g = &Settings{Temperature: 1, TopK: 50, TopP: 1, file: path, values: o}
	r := o.Reader()
	r.Bool("do_sample", &g.Sample)
	temperature, topP := 1.0, 1.0
	r.Float("temperature", &temperature)
	r.Float("top_p", &topP)
	r.Int("top_k", &g.TopK)
	r.Int("max_new_tokens", &g.MaxNew)
	r.Int("max_length", &g.MaxLength)
	var one string
	if json.Unmarshal(o["stop_strings"], &one) == nil && one != "" {
		g.StopStrings = []string{one}
	} else {
		r.Strings("stop_strings", &g.StopStrings)
	}
	g.Temperature, g.TopP, g.err = float32(temperature), float32(topP), r.Err()
	all, err := TokenIDs(o["eos_token_id"])
	if err != nil {
		g.bad = fmt.Errorf("%w: %s: eos_token_id: %w", ErrSetting, path, err)
	}
	for _, id := range all {
		if id >= 0 && id < vocab {
			g.EOS = append(g.EOS, id)
		} else {
			never = append(never, id)
		}
	}
	return g, never
}

// TokenIDs reads a token id, several in a list, or null for none.
func TokenIDs(raw json.RawMessage) ([]int, error) {
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	if id, ok := pyjson.Integer(raw); ok {
		return []int{id}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, fmt.Errorf("%.60s is neither a token id nor a list of token ids", raw)
	}
	var out []int
	for _, item := range list {
		var inner []json.RawMessage
		if json.Unmarshal(item, &inner) != nil {
			inner = []json.RawMessage{item}
		}
		for _, one := range inner {
			id, ok := pyjson.Integer(one)
			if !ok {
				return nil, fmt.Errorf("%.60s is no token id", one)
			}
			out = append(out, id)
		}
	}
	return out, nil
}

// setting is a setting that changes which tokens are sampled.
type setting struct {
	key string
	// on reports whether the value has this effect for a request.
	on func(v value, r *genie.GenerateRequest, g *Settings) bool
}

// value is the value of a setting, which is not null.
type value struct{ raw json.RawMessage }

// other reports whether the value is anything but a number.
func (v value) other(n float64) bool {
	x, ok := pyjson.Number(v.raw)
	return !ok || x != n
}

// above reports whether the value is anything but a number up to n.
func (v value) above(n float64) bool {
	x, ok := pyjson.Number(v.raw)
	return !ok || !(x <= n)
}

// filled reports whether the value is anything but false and an empty list.
func (v value) filled() bool { return pyjson.Object{"": v.raw}.Truthy("") }

func always(value, *genie.GenerateRequest, *Settings) bool { return true }

func filled(v value, _ *genie.GenerateRequest, _ *Settings) bool { return v.filled() }

// ends reports whether the request looks for an end token.
func (g *Settings) ends(r *genie.GenerateRequest) bool { return !r.IgnoreEOS && len(g.EOS) > 0 }

func longestPrompt(r *genie.GenerateRequest) int {
	n := 0
	for _, p := range r.Prompts {
		n = max(n, len(p))
	}
	return n
}

// settings are those of transformers 5.24 (generation/utils.py,
// _get_logits_processor and _get_stopping_criteria) that are not supported
// here. Settings that have an effect only in other modes, such as
// length_penalty with several beams, or none at all, are not listed.
var settings = []setting{
	{"repetition_penalty", func(v value, _ *genie.GenerateRequest, _ *Settings) bool { return v.other(1) }},
	{"encoder_repetition_penalty", func(v value, _ *genie.GenerateRequest, _ *Settings) bool { return v.other(1) }},
	{"guidance_scale", func(v value, _ *genie.GenerateRequest, _ *Settings) bool { return v.other(1) }},
	{"no_repeat_ngram_size", func(v value, _ *genie.GenerateRequest, _ *Settings) bool { return v.above(0) }},
	{"encoder_no_repeat_ngram_size", func(v value, _ *genie.GenerateRequest, _ *Settings) bool { return v.above(0) }},
	{"penalty_alpha", func(v value, _ *genie.GenerateRequest, _ *Settings) bool { return v.above(0) }},
	{"num_beams", func(v value, _ *genie.GenerateRequest, _ *Settings) bool { return v.above(1) }},
	{"num_return_sequences", func(v value, _ *genie.GenerateRequest, _ *Settings) bool { return v.above(1) }},
	{"bad_words_ids", filled},
	{"sequence_bias", filled},
	{"suppress_tokens", filled},
	{"begin_suppress_tokens", filled},
	{"token_healing", filled},
	{"constraints", filled},
	{"force_words_ids", filled},
	{"dola_layers", filled},
	{"watermarking_config", always},
	{"max_time", always},
	{"forced_eos_token_id", always},
	{"forced_bos_token_id", func(_ value, r *genie.GenerateRequest, _ *Settings) bool { return longestPrompt(r) == 1 }},
	{"exponential_decay_length_penalty", func(_ value, r *genie.GenerateRequest, g *Settings) bool { return g.ends(r) }},
	{"min_new_tokens", func(v value, r *genie.GenerateRequest, g *Settings) bool { return g.ends(r) && v.above(0) }},
	{"min_length", func(v value, r *genie.GenerateRequest, g *Settings) bool {
		return g.ends(r) && v.above(float64(longestPrompt(r)))
	}},
	{"stop_strings", func(_ value, r *genie.GenerateRequest, g *Settings) bool {
		return len(g.StopStrings) > 0 && !r.OwnStops
	}},
	{"typical_p", samplingBelow},
	{"epsilon_cutoff", samplingBetween},
	{"eta_cutoff", samplingBetween},
	{"min_p", sampling},
	{"top_h", sampling},
}

func sampling(_ value, r *genie.GenerateRequest, _ *Settings) bool { return r.Temperature > 0 }

func samplingBelow(v value, r *genie.GenerateRequest, _ *Settings) bool {
	x, ok := pyjson.Number(v.raw)
	return r.Temperature > 0 && (!ok || x < 1)
}

func samplingBetween(v value, r *genie.GenerateRequest, _ *Settings) bool {
	x, ok := pyjson.Number(v.raw)
	return r.Temperature > 0 && (!ok || x > 0 && x < 1)
}

// Check refuses a request for which the checkpoint's settings would give
// another answer. The error wraps [ErrSetting] and names the first such
// setting.
func (g *Settings) Check(r *genie.GenerateRequest) error {
	if g.bad != nil && !r.IgnoreEOS {
		return g.bad
	}
	for _, s := range settings {
		if g.values.Given(s.key) && s.on(value{g.values[s.key]}, r, g) {
			return fmt.Errorf("%w: %s: %s is %.60s", ErrSetting, g.file, s.key, g.values[s.key])
		}
	}
	return nil
}

// Err is the error in a setting for sampling or length, for callers that apply
// these settings; it wraps [ErrSetting].
func (g *Settings) Err() error {
	switch {
	case g.err != nil:
	case g.Sample && !(g.Temperature > 0):
		return fmt.Errorf("%w: %s: temperature is %g", ErrSetting, g.file, g.Temperature)
	case g.Sample && g.TopK < 0:
		return fmt.Errorf("%w: %s: top_k is %d", ErrSetting, g.file, g.TopK)
	case g.Sample && !(g.TopP >= 0 && g.TopP <= 1):
		return fmt.Errorf("%w: %s: top_p is %g", ErrSetting, g.file, g.TopP)
	default:
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrSetting, g.file, g.err)
}
