package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/pyjson"
)

// ErrFamily marks a checkpoint of another family of models than a loader is
// for, or one that is changed on its way into memory.
var ErrFamily = errors.New("genie: checkpoint of another kind")

// CheckType refuses a config.json that says that it is of another type of model
// than one of types, which are names of transformers: relatives have the same
// tensors and compute something else. A file without model_type, as the first
// ones were, is judged by its architectures; one that says nothing is taken for
// what the caller takes it for. It also refuses what transformers would do to
// any model's weights and nobody here does: quantisation, and layers that have
// settings of their own. The error wraps [ErrFamily] and names the key.
func CheckType(config pyjson.Object, types ...string) error {
	if err := checkType(config, types); err != nil {
		return err
	}
	for _, key := range []string{"quantization_config", "compression_config", "per_layer_config"} {
		if config.Truthy(key) {
			return fmt.Errorf("%w: %s is not supported", ErrFamily, key)
		}
	}
	return nil
}

func checkType(config pyjson.Object, types []string) error {
	wanted := strings.Join(types, " or ")
	if config.Given("model_type") {
		var name string
		if err := json.Unmarshal(config["model_type"], &name); err != nil || !slices.Contains(types, name) {
			return fmt.Errorf("%w: model_type is %.60s, not %s", ErrFamily, config["model_type"], wanted)
		}
		return nil
	}
	var architectures []string
	if config.Given("architectures") {
		_ = json.Unmarshal(config["architectures"], &architectures) // anything else names none
	}
	for _, name := range architectures {
		if !slices.ContainsFunc(types, func(t string) bool { return isArchitecture(name, t) }) {
			return fmt.Errorf("%w: model_type is absent and architectures has %.60q, which is none of %s", ErrFamily, name, wanted)
		}
	}
	return nil
}

// TypeOf is which of types a config.json that [CheckType] takes is of: the one
// that it names, or else the one of its architectures, or else the first.
func TypeOf(config pyjson.Object, types ...string) string {
	var name string
	if config.Given("model_type") && json.Unmarshal(config["model_type"], &name) == nil {
		return name
	}
	var architectures []string
	if config.Given("architectures") && json.Unmarshal(config["architectures"], &architectures) == nil && len(architectures) > 0 {
		if i := slices.IndexFunc(types, func(t string) bool { return isArchitecture(architectures[0], t) }); i >= 0 {
			return types[i]
		}
	}
	return types[0]
}

// isArchitecture reports whether a class of transformers is of a type of model:
// its name begins with the type's, and then with Model, For or the like.
func isArchitecture(class, modelType string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(class), strings.ReplaceAll(modelType, "-", ""))
	return ok && slices.ContainsFunc([]string{"model", "for", "lmhead", "doubleheads", "pretrained"}, func(next string) bool {
		return strings.HasPrefix(rest, next)
	})
}
