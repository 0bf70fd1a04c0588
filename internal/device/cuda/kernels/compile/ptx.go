//go:build genie_cuda

package main

/*
#cgo linux CFLAGS: -I/usr/local/cuda/include
#cgo linux LDFLAGS: -L/usr/local/cuda/lib64 -lnvrtc
#include <stdlib.h>
#include "ptx.h"
*/
import "C"

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"
)

// ptxCommand is the first argument of the process that compiles one file: NVRTC
// gives the same bytes each time only in a process of its own (heap.h).
const ptxCommand = "-ptx"

// toPTX compiles NAME.cu of a folder in a process of its own.
func toPTX(ctx context.Context, dir, name, target string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	var text, said bytes.Buffer
	cmd := exec.CommandContext(ctx, self, ptxCommand, dir, name, target)
	cmd.Stdout, cmd.Stderr = &text, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("NVRTC: %w\n%s", err, said.Bytes())
	}
	return text.String(), nil
}

// writePTX is that process. Products and sums are not contracted into an FMA, so
// that a kernel computes what its source says.
func writePTX(w io.Writer, args []string) error {
	if len(args) != 3 {
		return errors.New("genie: " + ptxCommand + " takes a folder, a name and a target")
	}
	dir, name, target := args[0], args[1], args[2]
	source, err := os.ReadFile(filepath.Join(dir, name+".cu"))
	if err != nil {
		return err
	}
	options := []string{"--gpu-architecture=compute_" + target, "--std=c++17", "--fmad=false", "--device-as-default-execution-space", "-I" + dir}
	// The process ends soon and takes along what is allocated here.
	list := unsafe.Slice((**C.char)(C.calloc(C.size_t(len(options)), C.size_t(unsafe.Sizeof(uintptr(0))))), len(options))
	for i, o := range options {
		list[i] = C.CString(o)
	}
	var text *C.char
	code := C.genie_ptx(C.CString(string(source)), C.CString(name+".cu"), C.int(len(options)), &list[0], &text) //nolint:gocritic // what cgo makes of it
	switch {
	case code < 0:
		return errors.New("genie: there is no room for NVRTC's heap")
	case code > 0:
		return fmt.Errorf("%s\n%s", C.GoString(C.genie_nvrtc_error(code)), strings.TrimRight(C.GoString(text), "\n"))
	}
	_, err = io.WriteString(w, C.GoString(text))
	return err
}
