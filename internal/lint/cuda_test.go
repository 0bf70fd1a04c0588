package lint

import (
	"go/build/constraint"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cudaTag is the build tag of the program that links a CUDA driver. The tag cuda is
// Gorgonia's own, and swaps its machines.
const cudaTag = "genie_cuda"

const (
	cudaFolder   = "internal/device/cuda/..."
	cudaDriver   = "internal/device/cuda/cudriver"
	emulator     = "internal/device/cuda/emulator/..."
	cu           = "gorgonia.org/cu"
	cudaCompiler = "internal/device/cuda/kernels/compile"
)

// usesCgo are the packages with cgo, each with the build tag of its files.
var usesCgo = map[string]string{
	cudaDriver:                  cudaTag,
	cudaCompiler:                cudaTag,
	"internal/kernels/openblas": "openblas",
}

// TestCudaImports checks each file, whatever its build tags: who imports
// gorgonia.org/cu and uses cgo, and that they do so with their tags only.
func TestCudaImports(t *testing.T) {
	found := map[string]bool{}
	for _, s := range files(t) {
		for _, i := range s.file.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			tag := cudaTag
			switch {
			case path == "C":
				if tag = usesCgo[s.dir()]; tag == "" {
					t.Errorf("%s uses cgo", s.path)
				}
			case path == cu || strings.HasPrefix(path, cu+"/"):
				if s.dir() != cudaDriver || path != cu {
					t.Errorf("%s imports %s; only %s imports %s", s.path, path, cudaDriver, cu)
				}
			default:
				continue
			}
			found[s.dir()] = true
			if !needsTag(s, tag) {
				t.Errorf("%s is built without the tag %s", s.path, tag)
			}
		}
		if needsTag(s, "cuda") {
			t.Errorf("%s has the tag cuda, which is Gorgonia's", s.path)
		}
	}
	for dir := range usesCgo {
		require.True(t, found[dir], dir)
	}
}

// needsTag reports whether a file is built with a tag only.
func needsTag(s source, tag string) bool {
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			if group.Pos() < s.file.Package && constraint.IsGoBuild(c.Text) {
				x, err := constraint.Parse(c.Text)
				return err == nil && requires(x, tag)
			}
		}
	}
	return false
}

// requires reports whether a constraint fails without a tag.
func requires(x constraint.Expr, tag string) bool {
	switch x := x.(type) {
	case *constraint.TagExpr:
		return x.Tag == tag
	case *constraint.AndExpr:
		return requires(x.X, tag) || requires(x.Y, tag)
	case *constraint.OrExpr:
		return requires(x.X, tag) && requires(x.Y, tag)
	}
	return false
}

// TestDefaultBuild checks that a program which is built without the tag has no cgo
// of this module and links no part of the CUDA device.
func TestDefaultBuild(t *testing.T) {
	for _, p := range ours(t) {
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s uses cgo: %v", p.name(), p.CgoFiles)
		}
		for _, dep := range p.Deps {
			if dep == cu || strings.HasPrefix(dep, cu+"/") {
				t.Errorf("%s links %s", p.name(), dep)
			}
			if inCuda(dep) && !inCuda(p.ImportPath) {
				t.Errorf("%s links %s, which only a program with the tag %s does", p.name(), dep, cudaTag)
			}
		}
	}
}

// inCuda reports whether a package is a part of the CUDA device, or gives it to a
// host.
func inCuda(path string) bool {
	name, ok := below(path)
	return ok && (matches(cudaFolder, name) || name == "internal/host/cudahost")
}

// TestCudaBuild checks what a program with the tag links: the driver, and nothing
// else of gorgonia.org/cu or of what tests use.
func TestCudaBuild(t *testing.T) {
	all, err := list(cudaTag)
	require.NoError(t, err)
	checkLayers(t, all)
	command := slices.IndexFunc(all, func(p listed) bool { return p.name() == "cmd/genie" })
	require.GreaterOrEqual(t, command, 0)
	require.Contains(t, all[command].Deps, cu)
	require.Contains(t, all[command].Deps, module+"/"+cudaDriver)
	for _, p := range all {
		if len(p.CgoFiles) > 0 && usesCgo[p.name()] != cudaTag {
			t.Errorf("%s uses cgo: %v", p.name(), p.CgoFiles)
		}
		for _, dep := range p.Deps {
			for _, never := range []string{cu + "/dnn", cu + "/blas", cu + "/nvrtc"} {
				if dep == never || strings.HasPrefix(dep, never+"/") {
					t.Errorf("%s links %s", p.name(), dep)
				}
			}
			if name, ok := below(dep); ok && matches(emulator, name) && !matches(cudaFolder, p.name()) {
				t.Errorf("%s links the emulator, which is for tests", p.name())
			}
		}
	}
}

func TestNeedsTag(t *testing.T) {
	for _, tc := range []struct {
		line string
		want bool
	}{
		{"//go:build genie_cuda\n", true},
		{"//go:build linux && genie_cuda\n", true},
		{"//go:build linux || genie_cuda\n", false},
		{"//go:build !genie_cuda\n", false},
		{"//go:build !linux\n", false},
		{"", false},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "p.go", tc.line+"\npackage p\n", parser.ParseComments)
		require.NoError(t, err)
		require.Equal(t, tc.want, needsTag(source{file: f}, cudaTag), tc.line)
	}
}
