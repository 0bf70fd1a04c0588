//go:build genie_cuda

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/genie-sdk/go/internal/device/cuda/kernels/ptxas"
)

// What is made of a source: PTX for a driver to compile, and machine code.
const (
	ptxTarget, cubinTarget = "80", "90"
)

// compiled is what is made of a source, and what its functions use.
type compiled struct {
	ptx, cubin []byte
	used       []ptxas.Usage
}

// compile compiles NAME.cu of a folder for both targets.
func compile(ctx context.Context, dir, toolchain, name string) (made compiled, err error) {
	for _, target := range []string{ptxTarget, cubinTarget} {
		text, err := toPTX(ctx, dir, name, target)
		if err != nil {
			return made, err
		}
		cubin, report, err := assemble(ctx, toolchain, name, text, target)
		if err != nil {
			return made, err
		}
		used, err := ptxas.Parse(report, "sm_"+target)
		if err != nil {
			return made, err
		}
		made.used = append(made.used, used...)
		if target == ptxTarget {
			made.ptx = []byte(text)
		} else {
			made.cubin = cubin
		}
	}
	return made, nil
}

// assemble makes machine code of PTX. The report says what each function uses.
func assemble(ctx context.Context, toolchain, name, text, target string) (cubin []byte, report string, err error) {
	work, err := os.MkdirTemp("", "genie-kernels-")
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	in, out := filepath.Join(work, name+".ptx"), filepath.Join(work, name+".cubin")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	said, err := exec.CommandContext(ctx, filepath.Join(toolchain, "bin", "ptxas"), "-v", "-arch=sm_"+target, in, "-o", out).CombinedOutput() //nolint:gosec // of the pinned toolchain
	if err != nil {
		return nil, "", fmt.Errorf("ptxas for sm_%s: %w\n%s", target, err, said)
	}
	cubin, err = os.ReadFile(out)
	return cubin, string(said), err
}
