package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/generation"
)

// warnings is a logger of faults in inputs that are used in spite of them.
func (a *app) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(groups []string, attr slog.Attr) slog.Attr {
			if attr.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return attr
		},
	}))
}

// fit makes the request from the flags and, where they are not given, the
// checkpoint's settings. It also returns the strings that end the generation.
func (o *generateOptions) fit(m *workloads.LanguageModel) (r genie.GenerateRequest, stops []string, err error) {
	prompt, err := o.promptTokens(m)
	if err != nil {
		return r, nil, err
	}
	if err := o.follow(m.Settings, len(prompt)); err != nil {
		return r, nil, err
	}
	texts, ids, err := o.stops(m)
	if err != nil {
		return r, nil, err
	}
	r = o.request(prompt)
	r.Stop = ids
	return r, texts, nil
}

// follow takes settings without a flag from the checkpoint, as transformers'
// generate does: whether and how to sample, and how many tokens to generate.
func (o *generateOptions) follow(g *generation.Settings, prompt int) error {
	if o.ignoreSettings {
		return nil
	}
	asked := o.greedy || o.given["temperature"] || o.given["top-k"] || o.given["top-p"]
	if (!asked || !o.given["max-new"]) && g.Err() != nil {
		return g.Err()
	}
	if g.Sample && !o.greedy {
		for flag, take := range map[string]func(){
			"temperature": func() { o.temperature = g.Temperature },
			"top-k":       func() { o.topK = g.TopK },
			"top-p":       func() { o.topP = max(g.TopP, minTopP) },
		} {
			if !o.given[flag] {
				take()
			}
		}
	}
	if o.given["max-new"] {
		return nil
	}
	switch {
	case g.MaxNew > 0:
		o.maxNew = g.MaxNew
	case g.MaxLength > prompt:
		o.maxNew = g.MaxLength - prompt
	case g.MaxLength > 0:
		return fmt.Errorf("the prompt has %d tokens, and the checkpoint's max_length is %d; give --max-new", prompt, g.MaxLength)
	}
	return nil
}

// minTopP keeps only the likeliest token, which is the effect of a top_p of 0.
const minTopP = 1e-9

// givenFlags are the names of the flags on the command line.
func givenFlags(f *pflag.FlagSet) map[string]bool {
	given := map[string]bool{}
	f.Visit(func(flag *pflag.Flag) { given[flag.Name] = true })
	return given
}

// stops divides --stop and the checkpoint's stop strings into strings and, for
// a model without a tokenizer, token ids.
func (o *generateOptions) stops(m *workloads.LanguageModel) (texts []string, ids []int, err error) {
	if m.Tokenizer == nil {
		for _, s := range o.stop {
			id, err := strconv.Atoi(s)
			if err != nil || id < 0 {
				return nil, nil, usagef("--stop %q is not a token id, and %s has no tokenizer for text", s, o.model)
			}
			ids = append(ids, id)
		}
		return nil, ids, nil
	}
	texts = append(texts, o.stop...)
	if !o.ignoreSettings {
		texts = append(texts, m.Settings.StopStrings...)
	}
	return texts, nil, nil
}

// stopper holds back text that may be the beginning of a stop string, and ends
// the text before one.
type stopper struct {
	texts []string
	held  string
}

// next takes more text and returns the text to write; the error is
// [genie.ErrStop] at a stop string.
func (s *stopper) next(text string) (string, error) {
	if len(s.texts) == 0 {
		return text, nil
	}
	s.held += text
	first := -1
	for _, stop := range s.texts {
		if i := strings.Index(s.held, stop); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		out := s.held[:first]
		s.held = ""
		return out, genie.ErrStop
	}
	keep := 0
	for _, stop := range s.texts {
		for n := min(len(stop)-1, len(s.held)); n > keep; n-- {
			if strings.HasSuffix(s.held, stop[:n]) {
				keep = n
			}
		}
	}
	out := s.held[:len(s.held)-keep]
	s.held = s.held[len(out):]
	return out, nil
}

// rest is the held-back text at the end.
func (s *stopper) rest() string {
	rest := s.held
	s.held = ""
	return rest
}
