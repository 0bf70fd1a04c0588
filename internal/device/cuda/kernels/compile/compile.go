//go:build genie_cuda

package main

import (
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

// compile compiles NAME.cu for both targets, and says what the functions use.
func compile(t *tree, toolchain, name string) ([]ptxas.Usage, error) {
	source, err := os.ReadFile(filepath.Join(t.dir, name+".cu"))
	if err != nil {
		return nil, err
	}
	var used []ptxas.Usage
	for _, target := range []string{ptxTarget, cubinTarget} {
		text, err := toPTX(t.dir, name, string(source), target)
		if err != nil {
			return nil, err
		}
		cubin, report, err := assemble(toolchain, name, text, target)
		if err != nil {
			return nil, err
		}
		u, err := ptxas.Parse(report, "sm_"+target)
		if err != nil {
			return nil, err
		}
		used = append(used, u...)
		if target == ptxTarget {
			err = t.put(filepath.Join("generated", "sm_"+target, name+".ptx"), []byte(text))
		} else {
			err = t.put(filepath.Join("generated", "sm_"+target, name+".cubin"), cubin)
		}
		if err != nil {
			return nil, err
		}
	}
	return used, nil
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
func assemble(toolchain, name, text, target string) (cubin []byte, report string, err error) {
	work, err := os.MkdirTemp("", "genie-kernels-")
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	in, out := filepath.Join(work, name+".ptx"), filepath.Join(work, name+".cubin")
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	said, err := exec.Command(filepath.Join(toolchain, "bin", "ptxas"), "-v", "-arch=sm_"+target, in, "-o", out).CombinedOutput()
	if err != nil {
		return nil, "", fmt.Errorf("ptxas for sm_%s: %w\n%s", target, err, said)
	}
	cubin, err = os.ReadFile(out)
	return cubin, string(said), err
}
