package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/genie-sdk/go/internal/pyjson"
)

// ErrFamily marks a checkpoint of another model family than the loader's, or
// one that transformers changes while loading it.
var ErrFamily = errors.New("genie: checkpoint of another kind")

// CheckType refuses a config.json of a type of model other than types, which
// are names of transformers: related types have the same tensors but compute
// something else. A file without model_type, as in the earliest checkpoints, is
// judged by its architectures; a file without either is accepted. CheckType
// also refuses changes that transformers would apply to any model's weights and
// that are not supported here: quantisation, and layers with their own
// settings. The error wraps [ErrFamily] and names the key.
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

// CheckCausal refuses an is_causal in config.json, or in an object of it, that
// differs from what a model computes: transformers 5 lets it change which
// tokens attend to which, and differently for each of its implementations of
// attention. where is the beginning of the key's name in the error, which wraps
// [ErrFamily].
func CheckCausal(config pyjson.Object, where string, causal bool) error {
	if raw, there := config["is_causal"]; there && config.Truthy("is_causal") != causal {
		return fmt.Errorf("%w: %sis_causal is %.40s, not %t", ErrFamily, where, raw, causal)
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
		_ = json.Unmarshal(config["architectures"], &architectures) // any other value names none
	}
	for _, name := range architectures {
		if !slices.ContainsFunc(types, func(t string) bool { return isArchitecture(name, t) }) {
			return fmt.Errorf("%w: model_type is absent and architectures has %.60q, which is none of %s", ErrFamily, name, wanted)
		}
	}
	return nil
}

// TypeOf is the type, of types, of a config.json that [CheckType] accepts: the
// named one, or else the one of its architectures, or else the first.
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

// isArchitecture reports whether a class of transformers belongs to a type of
// model: its name begins with the type's, followed by Model, For or the like.
func isArchitecture(class, modelType string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(class), strings.ReplaceAll(modelType, "-", ""))
	return ok && slices.ContainsFunc([]string{"model", "for", "lmhead", "doubleheads", "pretrained"}, func(next string) bool {
		return strings.HasPrefix(rest, next)
	})
}
