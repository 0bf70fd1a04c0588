//go:build genie_cuda

// Command compile compiles the kernels of the folder above: each NAME.cu to
// generated/sm_80/NAME.ptx and generated/sm_90/NAME.cubin. It needs NVRTC and ptxas
// of the release that toolchain.sh brings, since the output is committed and
// compared, and no GPU:
//
//	internal/device/cuda/toolchain.sh go generate -tags genie_cuda ./internal/device/cuda/kernels
//
// What ptxas says that a kernel uses is held to bounds.txt. With -bounds that file
// is written anew. With -check nothing is written, and what differs is an error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/internal/device/cuda/kernels/ptxas"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == ptxCommand {
		fail(writePTX(os.Stdout, os.Args[2:]))
		return
	}
	var o options
	flag.StringVar(&o.dir, "dir", ".", "folder of the kernels")
	flag.BoolVar(&o.check, "check", false, "compare with the committed files, and write nothing")
	flag.BoolVar(&o.bounds, "bounds", false, "write what the kernels use into bounds.txt")
	flag.Parse()
	fail(run(o, flag.Args()))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type options struct {
	dir           string
	check, bounds bool
}

func run(o options, rest []string) error {
	toolchain := os.Getenv("GENIE_CUDA_TOOLCHAIN")
	switch {
	case len(rest) > 0:
		return fmt.Errorf("genie: there is no argument %q", rest[0])
	case o.check && o.bounds:
		return errors.New("genie: -check writes nothing, and -bounds writes")
	case toolchain == "":
		return errors.New("genie: run it with toolchain.sh, which says where ptxas is (GENIE_CUDA_TOOLCHAIN)")
	}
	t := tree{dir: o.dir, check: o.check}
	sources, err := t.sources()
	if err != nil {
		return err
	}
	compiling, ctx := errgroup.WithContext(context.Background())
	compiling.SetLimit(runtime.GOMAXPROCS(0))
	made := make([]compiled, len(sources))
	for i, name := range sources {
		compiling.Go(func() (err error) {
			if made[i], err = compile(ctx, t.dir, toolchain, name); err != nil {
				return fmt.Errorf("genie: %s.cu: %w", name, err)
			}
			return nil
		})
	}
	if err := compiling.Wait(); err != nil {
		return err
	}
	var used []ptxas.Usage
	for i, name := range sources {
		ptx, cubin := filepath.Join("generated", "sm_"+ptxTarget, name+".ptx"), filepath.Join("generated", "sm_"+cubinTarget, name+".cubin")
		if err := errors.Join(t.put(ptx, made[i].ptx), t.put(cubin, made[i].cubin)); err != nil {
			return err
		}
		used = append(used, made[i].used...)
	}
	if err := t.prune(); err != nil {
		return err
	}
	if o.bounds {
		return t.put(boundsFile, []byte(ptxas.Format(used)))
	}
	bounds, err := t.bounds()
	if err != nil {
		return err
	}
	if err := errors.Join(append(t.differences, ptxas.Check(bounds, used))...); err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%d files of kernels, %d functions within their bounds\n", len(sources), len(used))
	return err
}
