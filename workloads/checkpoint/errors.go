package checkpoint

import (
	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/pyjson"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

// What can be wrong with a model directory. Package workloads has the same errors
// for callers of its families.
var (
	// ErrMissingFile marks a required file that is missing.
	ErrMissingFile = checkpoint.ErrMissingFile
	// ErrMissingTensor marks a tensor that the checkpoint does not have.
	ErrMissingTensor = checkpoint.ErrMissingTensor
	// ErrTensorShape marks a tensor of another shape or element type than the
	// program wants.
	ErrTensorShape = checkpoint.ErrShape
	// ErrCorrupt marks a checkpoint that contradicts itself: a broken config.json
	// or index, a tensor that is not where the index says, a broken weights file.
	ErrCorrupt = checkpoint.ErrCorrupt
	// ErrOutside marks a file that is a link out of the model's folder, or out of
	// the cached repository that contains it.
	ErrOutside = checkpoint.ErrOutside
	// ErrChanged marks a file that changed while it was read.
	ErrChanged = checkpoint.ErrChanged
	// ErrClosed marks a use after Close.
	ErrClosed = checkpoint.ErrClosed
	// ErrFamily marks a checkpoint of another family than the loader's.
	ErrFamily = checkpoint.ErrFamily
	// ErrSyntax marks a configuration that is not JSON.
	ErrSyntax = pyjson.ErrSyntax
	// ErrType marks a key whose value has the wrong type.
	ErrType = pyjson.ErrType
	// ErrWrite marks weights that [Write] cannot write: of a type that files have
	// no name for, with a wrong number of bytes, two of one name.
	ErrWrite = safetensors.ErrWrite
	// ErrTarget marks a path that cannot be written like a file.
	ErrTarget = atomicfile.ErrTarget
)
