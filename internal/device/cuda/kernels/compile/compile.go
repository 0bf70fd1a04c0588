//go:build genie_cuda

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"gorgonia.org/cu/nvrtc"

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
	source, err := os.ReadFile(filepath.Join(dir, name+".cu"))
	if err != nil {
		return made, err
	}
	for _, target := range []string{ptxTarget, cubinTarget} {
		text, err := toPTX(dir, name, string(source), target)
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

// toPTX compiles CUDA C++. Products and sums are not contracted into an FMA, so
// that a kernel computes what its source says.
func toPTX(dir, name, source, target string) (string, error) {
	p, err := nvrtc.CreateProgram(source, name+".cu")
	if err != nil {
		return "", err
	}
	defer func() { _ = p.Destroy() }()
	err = p.Compile(
		"--gpu-architecture=compute_"+target, "--std=c++17", "--fmad=false", "--device-as-default-execution-space", "-I"+dir,
	)
	if err != nil {
		log, _ := p.GetLog() // the error says enough without it
		return "", fmt.Errorf("NVRTC: %w\n%s", err, strings.TrimRight(log, "\x00\n"))
	}
	text, err := p.GetPTX()
	return strings.TrimRight(text, "\x00"), err
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
