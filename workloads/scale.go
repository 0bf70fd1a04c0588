package workloads

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Scale is the size of a workload.
type Scale string

// The scales: tiny is for tests and needs only testdata, small runs on a
// laptop, full is the size of the reference evaluation.
const (
	Tiny  Scale = "tiny"
	Small Scale = "small"
	Full  Scale = "full"
)

// EnvScale names the environment variable for the scale.
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

// EnvModels names the environment variable for the folder of checkpoints with
// random weights. The default is genie/models below the user's cache folder.
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
