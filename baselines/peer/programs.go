package peer

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The programs. The first three have the operations of [LLM], the last one
// those of [Convolutions].
const (
	PyTorch     = "pytorch"
	ONNXRuntime = "onnx_runtime"
	LlamaCPP    = "llamacpp"
	ResNet      = "resnet_layers"
)

//go:embed python/*.py
var python embed.FS

// unpack writes the Python files to a new folder.
func unpack(program string) (dir string, err error) {
	if _, err := fs.Stat(python, "python/"+program+".py"); err != nil {
		return "", fmt.Errorf("genie: no peer program %q: %w", program, err)
	}
	dir, err = os.MkdirTemp("", "genie-peer-")
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
