package workloads

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Scale is how large a workload is.
type Scale string

// The scales: tiny is for tests and needs nothing but testdata, small is what a
// laptop runs, full is the size of the reference evaluation.
const (
	Tiny  Scale = "tiny"
	Small Scale = "small"
	Full  Scale = "full"
)

// EnvScale names the environment variable that chooses the scale.
const EnvScale = "GENIE_SCALE"

// ErrScale is the cause of an error about an unknown scale.
var ErrScale = errors.New("genie: unknown scale")

// ParseScale finds a scale by its name; "" is small.
func ParseScale(name string) (Scale, error) {
	switch s := Scale(name); s {
	case "":
		return Small, nil
	case Tiny, Small, Full:
		return s, nil
	default:
		return "", fmt.Errorf("%w %q, want tiny, small or full", ErrScale, name)
	}
}

// ScaleFromEnv is the scale that GENIE_SCALE names, small without it.
func ScaleFromEnv() (Scale, error) {
	s, err := ParseScale(os.Getenv(EnvScale))
	if err != nil {
		return "", fmt.Errorf("%s: %w", EnvScale, err)
	}
	return s, nil
}

// EnvModels names the environment variable with the folder in which
// checkpoints with random weights are made and found; without it, it is genie/models below the
// user's cache folder.
const EnvModels = "GENIE_MODELS"

// ModelsRoot is the folder of checkpoints with random weights. It need not exist.
func ModelsRoot() (string, error) {
	if root := os.Getenv(EnvModels); root != "" {
		return root, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "genie", "models"), nil
}
