package llm

import (
	"errors"
	"fmt"
	"os"
)

// Scale is how large a workload is.
type Scale string

// The scales: tiny is for tests, small is GPT-2 124M, full is GPT-2 XL.
const (
	Tiny  Scale = "tiny"
	Small Scale = "small"
	Full  Scale = "full"
)

// EnvScale names the environment variable that chooses the scale.
const EnvScale = "GENIE_SCALE"

// ErrScale is the cause of an error about an unknown scale.
var ErrScale = errors.New("genie: unknown scale")

// ScaleFromEnv is the scale that GENIE_SCALE names, small without it.
func ScaleFromEnv() (Scale, error) {
	switch s := Scale(os.Getenv(EnvScale)); s {
	case "":
		return Small, nil
	case Tiny, Small, Full:
		return s, nil
	default:
		return "", fmt.Errorf("%w: %s=%q, want tiny, small or full", ErrScale, EnvScale, s)
	}
}

// Preset is the architecture at a scale; the tiny one is a checkpoint in
// testdata.
func (s Scale) Preset() string {
	switch s {
	case Small:
		return "gpt2"
	case Full:
		return "gpt2-xl"
	case Tiny:
	}
	return ""
}

// Model names the model at a scale in benchmark results.
func (s Scale) Model() string {
	if p := s.Preset(); p != "" {
		return p
	}
	return "gpt2-tiny"
}
