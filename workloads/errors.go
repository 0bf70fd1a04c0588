package workloads

import (
	"github.com/genie-sdk/go/workloads/activation"
	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/pyjson"
	"github.com/genie-sdk/go/internal/randomweights"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

// What can be wrong with a model's files, whichever model's package loads them.
// errors.Is finds these causes; the error's text says which file, tensor or key. What
// is wrong with a tokenizer.json is in package tokenizer, and a config.json that a
// model cannot be made from is the ErrConfig of that model's package as well.
var (
	// ErrMissingFile marks a required file that is missing.
	ErrMissingFile = checkpoint.ErrMissingFile
	// ErrMissingTensor marks a tensor that the checkpoint does not have.
	ErrMissingTensor = checkpoint.ErrMissingTensor
	// ErrTensorShape marks a tensor of another shape or element type than the model
	// needs.
	ErrTensorShape = checkpoint.ErrShape
	// ErrCorruptCheckpoint marks a checkpoint that contradicts itself: a broken
	// config.json or index, a tensor that is not where the index says, a broken
	// safetensors file.
	ErrCorruptCheckpoint = checkpoint.ErrCorrupt
	// ErrCorruptSafetensors marks a file that breaks the rules of safetensors. In a
	// checkpoint it is an [ErrCorruptCheckpoint] as well.
	ErrCorruptSafetensors = safetensors.ErrCorrupt
	// ErrOutsideFolder marks a file that is a link out of the model's folder, or out
	// of the cached repository that it is in. Nothing is known of its content: copy
	// it, or open the folder that holds it.
	ErrOutsideFolder = checkpoint.ErrOutside
	// ErrCheckpointChanged marks a file that changed while it was read.
	ErrCheckpointChanged = checkpoint.ErrChanged
	// ErrCheckpointClosed marks a use of a model after its Close.
	ErrCheckpointClosed = checkpoint.ErrClosed
	// ErrFamily marks a checkpoint of another family of models than a loader is
	// for, or one whose weights transformers would change on their way into memory.
	ErrFamily = checkpoint.ErrFamily
	// ErrUnknownActivation marks an activation function that is not known here.
	ErrUnknownActivation = activation.ErrUnknown
	// ErrJSONSyntax marks a JSON file that is not valid JSON.
	ErrJSONSyntax = pyjson.ErrSyntax
	// ErrJSONType marks a key of a JSON file whose value has another type than
	// a model requires.
	ErrJSONType = pyjson.ErrType
)

// What can be wrong with writing a checkpoint with random weights.
var (
	// ErrUnknownArchitecture marks a preset that is not known.
	ErrUnknownArchitecture = randomweights.ErrUnknown
	// ErrNoSpace marks a disk without room for the checkpoint; nothing was written.
	ErrNoSpace = randomweights.ErrNoSpace
	// ErrWeightType marks an element type that weights cannot be made in.
	ErrWeightType = randomweights.ErrDType
	// ErrTarget marks a path that cannot be written like a file.
	ErrTarget = atomicfile.ErrTarget
)
