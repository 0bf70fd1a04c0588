package systems

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The programs. [PyTorch], [ONNXRuntime] and [LlamaCPP] have the operations of
// [LLM], [ResNet] those of [Convolutions]; [PyTorch], [ONNXRuntime] and those
// with a worker process have those of [Model]. [Reference] has its own.
const (
	PyTorch     = "pytorch"
	PyTorchRPC  = "pytorch_rpc" // torch.distributed.rpc, the model in a worker
	Ray         = "ray_actor"   // the model in an actor
	ONNXRuntime = "onnx_runtime"
	LlamaCPP    = "llamacpp"
	LlamaCPPRPC = "llamacpp_rpc" // llama.cpp's RPC backend
	ResNet      = "resnet_layers"
	Reference   = "reference" // transformers, for the reference outputs
)

// groupOf is the group of requirements that a program needs besides [groupTorch].
func groupOf(program string) string {
	switch program {
	case Ray:
		return "ray"
	case ONNXRuntime, ResNet:
		return "onnxruntime"
	case LlamaCPP, LlamaCPPRPC:
		return "llama"
	}
	return groupTorch
}

// Remote reports whether a program computes in another process.
func Remote(program string) bool {
	return program == PyTorchRPC || program == Ray || program == LlamaCPPRPC
}

// Polls reports whether a program uses processor time while it waits for work:
// TensorPipe watches its shared memory in a loop. It should be paused then.
func Polls(program string) bool { return program == PyTorchRPC }

//go:embed python/*.py
var python embed.FS

//go:embed python/requirements.txt
var requirements string

// unpack writes the Python files to a new folder.
func unpack(program string) (dir string, err error) {
	if _, err := fs.Stat(python, "python/"+program+".py"); err != nil {
		return "", fmt.Errorf("genie: no reference system program %q: %w", program, err)
	}
	dir, err = os.MkdirTemp("", "genie-system-")
	if err != nil {
		return "", err
	}
	err = fs.WalkDir(python, "python", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := python.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, d.Name()), text, 0o600)
	})
	if err != nil {
		_ = os.RemoveAll(dir)
	}
	return dir, err
}
