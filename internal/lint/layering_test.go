package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/genie-sdk/go"

// layer lists what the packages of one pattern may import from this module. A
// pattern is a path below the module's, "x/..." standing for x and everything
// below it; the first layer that matches a package applies.
type layer struct {
	pkg string
	may []string
}

// layers is the complete list: a package that no pattern matches is an error,
// so that a new package states its place.
var layers = []layer{
	// The contract. Third parties build executors on it, so plan depends on
	// nothing in this module, and transport only on plan and on the guard of
	// reads of mapped files.
	{"transport/plan", []string{"transport/plan/internal/..."}},
	{"transport/plan/internal/...", nil},
	{"transport", []string{"internal/memory", "transport/plan"}},
	{"transport/loops", []string{"transport"}},
	{"transport/custom", []string{"transport", "transport/plan"}},
	{"transport/conformance", []string{"transport", "transport/plan"}},

	// The wire, and the client's half of it.
	{"transport/wire/wirepb", nil},
	{"transport/wire", []string{"internal/memory", "transport", "transport/plan", "transport/wire/wirepb"}},
	{"transport/wire/grpcwire", []string{"transport", "transport/plan", "transport/wire"}},
	{"transport/wire/tlswire", []string{"transport/plan", "transport/wire"}},
	{"transport/internal/remote", []string{"internal/memory", "transport", "transport/plan", "transport/wire", "transport/wire/wirepb"}},
	{"transport/credentials", nil},
	{"transport/internal/secure", []string{"transport", "transport/credentials", "transport/wire/tlswire"}},
	{"transport/tcp", []string{"transport", "transport/credentials", "transport/internal/remote", "transport/internal/secure", "transport/wire"}},
	{"transport/rpc", []string{
		"transport", "transport/credentials", "transport/internal/remote", "transport/internal/secure",
		"transport/wire", "transport/wire/grpcwire",
	}},
	{"transport/link", []string{"transport"}},

	// Computation. The engine uses the contract's vocabulary (handles, errors,
	// statistics), hence package transport.
	{"internal/halt", nil},
	{"internal/kernels", []string{"internal/halt"}},
	{"internal/memory", nil},
	{"internal/benchname/...", []string{"internal/benchname/..."}},
	{"internal/fault", []string{"transport/wire"}},
	{"internal/op", []string{"internal/halt", "transport", "transport/custom", "transport/plan"}},
	{"internal/program", []string{"internal/op", "transport", "transport/custom", "transport/plan"}},
	{"internal/planmaker", []string{"internal/op", "transport", "transport/plan"}},
	{"internal/budget", []string{"transport"}},
	{"internal/device", []string{"internal/budget", "internal/halt", "internal/op", "internal/program", "transport", "transport/plan"}},
	{"internal/device/cpu", []string{
		"internal/budget", "internal/device", "internal/halt", "internal/kernels", "internal/memory", "internal/op", "internal/program",
		"transport", "transport/plan",
	}},
	{"internal/engine", []string{"internal/budget", "internal/device", "internal/halt", "internal/memory", "internal/op", "internal/program", "transport", "transport/custom", "transport/plan"}},
	{"internal/device/opaque", []string{
		"internal/budget", "internal/device", "internal/halt", "internal/op", "internal/program", "transport", "transport/plan",
	}},
	{"internal/device/devicetest", []string{
		"internal/budget", "internal/device", "internal/engine", "internal/op", "internal/planmaker", "transport", "transport/plan",
	}},
	{"internal/device/mixed", []string{
		"internal/budget", "internal/device", "internal/halt", "internal/op", "internal/program", "transport", "transport/plan",
	}},
	{"internal/device/null", []string{
		"internal/device", "internal/halt", "internal/op", "internal/program", "transport", "transport/plan",
	}},
	{"internal/device/cuda/driver", nil},
	{"internal/device/cuda/kernels", []string{"internal/device/cuda/driver", "internal/op", "transport", "transport/plan"}},
	{"internal/device/cuda/emulator", []string{"internal/device/cuda/driver"}},
	{"internal/device/cuda", []string{
		"internal/budget", "internal/device", "internal/device/cuda/driver", "internal/device/cuda/kernels", "internal/halt", "internal/kernels", "internal/op", "internal/program", "transport", "transport/plan",
	}},
	{"internal/device/cuda/drivertest", []string{"internal/device/cuda/driver"}},
	{"internal/device/cuda/cudatest", nil},
	{"internal/device/cuda/kernels/ptxas", nil},
	{"internal/device/cuda/kernels/compile", []string{"internal/device/cuda/kernels/ptxas"}},
	{"internal/device/cuda/cudriver", []string{"internal/device/cuda/driver"}},
	{"internal/host/cudahost", []string{"internal/device", "internal/device/cuda", "internal/device/cuda/driver", "internal/device/cuda/kernels", "internal/host", "transport/plan"}},
	{"internal/host", []string{"internal/device/...", "internal/engine", "internal/memory", "transport"}},
	{"internal/inprocess", []string{"internal/engine", "internal/host", "internal/memory", "transport", "transport/loops", "transport/plan"}},
	{"transport/local", []string{"internal/engine", "internal/host", "internal/inprocess", "transport", "transport/custom"}},
	{"internal/admission", nil},
	{"internal/connlimit", []string{"transport"}},
	{"internal/worker", []string{
		"internal/admission", "internal/budget", "internal/checkpoint", "internal/connlimit", "internal/engine", "internal/host", "internal/memory", "internal/safetensors",
		"internal/weightcache", "internal/worker/meter",
		"transport", "transport/loops", "transport/plan", "transport/wire/...",
	}},
	{"internal/weightcache", []string{"transport", "transport/plan"}},
	{"internal/worker/meter", []string{"transport", "transport/wire"}},
	{"internal/worker/metrics", []string{"internal/worker/meter", "transport", "transport/plan", "transport/wire"}},
	{"internal/worker/admin", []string{"internal/connlimit"}},
	{"internal/worker/...", []string{
		"internal/checkpoint", "internal/engine", "internal/host", "internal/safetensors", "internal/worker/...",
		"transport", "transport/credentials", "transport/plan", "transport/wire/...",
	}},
	{"worker", []string{"internal/engine", "internal/host", "internal/worker", "transport/custom"}},
	{"internal/access", []string{"internal/connlimit", "transport"}},

	// Programs and their meaning.
	{"internal/lazygraph", []string{"internal/op", "transport/plan"}},
	{"lazy", []string{"internal/lazygraph", "internal/op", "transport", "transport/custom", "transport/plan"}},
	{"lazy/gorgonia", []string{"internal/lazygraph", "internal/op", "lazy", "transport", "transport/plan"}},
	{"lazy/onnx", []string{"internal/lazygraph", "internal/onnxfile", "internal/op", "lazy", "transport", "transport/plan"}},
	{"semantic", []string{"internal/lazygraph", "internal/op", "internal/program", "lazy", "transport/custom", "transport/plan"}},
	{"internal/measure", []string{"semantic", "transport"}},
	{"genie", []string{"internal/measure", "lazy", "semantic", "transport/..."}},
	{"genie/otelgenie", []string{"transport"}},

	// Models and their files.
	{"internal/safetensors/atomicfile", nil},
	{"internal/safetensors", []string{"internal/memory", "internal/safetensors/atomicfile"}},
	{"internal/pyjson", nil},
	{"internal/npy", []string{"transport", "transport/plan"}},
	{"internal/onnxfile", []string{"internal/checkpoint", "internal/memory"}},
	{"internal/onnxfile/onnxtest", nil},
	{"internal/checkpoint", []string{"internal/pyjson", "internal/safetensors/..."}},
	{"internal/checkpoint/checkpointtest", []string{"internal/pyjson", "internal/safetensors"}},
	{"internal/randomweights", []string{"internal/safetensors/...", "transport", "transport/plan"}},
	{"workloads/tokenizer", []string{"internal/pyjson"}},
	{"internal/imaging", []string{"internal/pyjson"}},
	{"internal/activation", []string{"lazy"}},
	{"internal/models", []string{"internal/checkpoint", "internal/safetensors/...", "transport", "transport/plan"}},
	{"workloads/...", []string{
		"genie", "internal/activation", "internal/checkpoint", "internal/imaging", "internal/models", "internal/pyjson",
		"internal/safetensors/...", "internal/randomweights",
		"lazy", "semantic",
		"transport", "transport/plan", "workloads/...",
	}},

	{"internal/workloadtest", []string{"genie", "internal/safetensors", "internal/worker/workertest", "semantic", "workloads"}},

	{"internal/familytest", []string{
		"genie", "internal/checkpoint/checkpointtest", "internal/pyjson", "internal/worker/workertest", "lazy", "semantic",
		"workloads", "workloads/families",
	}},

	{"testdata/models", nil}, // the model that is built into the command

	// Examples, as others would write them, use only what they can import.
	{"examples/...", []string{
		"genie", "lazy", "semantic", "transport", "transport/local", "transport/plan", "transport/rpc", "transport/tcp",
		"workloads/easyvqa", "workloads/gpt2",
	}},

	// The top may use everything.
	{"baselines/results/...", []string{"baselines/results/...", "internal/benchname"}},
	{"baselines/matrix", []string{"baselines/results"}},
	{"baselines/...", []string{"..."}},
	{"cmd/...", []string{"..."}},
	{"internal/lint", nil},
	{"internal/operatortest", nil},
}

// neverLinks lists packages that a package must not link into a binary,
// directly or indirectly. For patterns outside this module only the prefix
// counts.
var neverLinks = []struct {
	pkg, why string
	never    []string
}{
	{
		"transport/...", "a client does not link the server",
		[]string{"internal/worker/..."},
	},
	{
		"transport/tcp", "a remote executor links no engine, so it cannot fall back to one",
		[]string{"internal/engine", "internal/op", "internal/kernels", "transport/local"},
	},
	{
		"transport/rpc", "a remote executor links no engine, so it cannot fall back to one",
		[]string{"internal/engine", "internal/op", "internal/kernels", "transport/local"},
	},
	{
		"genie", "a client does not link the server",
		[]string{"internal/worker/..."},
	},
	{
		"examples/...", "a client does not link the server",
		[]string{"internal/worker/..."},
	},
	{
		"workloads/...", "a client does not link the server",
		[]string{"internal/worker/..."},
	},
	{
		"internal/engine", "what runs plans knows no graph library",
		[]string{"gorgonia.org/", "gonum.org/"},
	},
	{
		"internal/worker/...", "what runs plans knows no graph library",
		[]string{"gorgonia.org/", "gonum.org/", "lazy", "semantic", "genie"},
	},
	{
		"transport/...", "an executor knows no graph library",
		[]string{"gorgonia.org/", "gonum.org/", "lazy", "semantic", "genie"},
	},
	{
		"genie", "tracing and monitoring are in packages of their own",
		[]string{"go.opentelemetry.io/", "github.com/prometheus/"},
	},
	{
		"transport/...", "tracing and monitoring are in packages of their own",
		[]string{"go.opentelemetry.io/", "github.com/prometheus/"},
	},
	{
		"internal/worker", "it counts in package meter; others show it",
		[]string{"go.opentelemetry.io/", "github.com/prometheus/"},
	},
	{
		"semantic", "it is pure: no network, no engine",
		[]string{"internal/engine", "internal/kernels", "google.golang.org/grpc", "transport/wire/..."},
	},
}

// testLibraries may be linked by tests and by packages made for tests.
var testLibraries = []string{"testing", "github.com/stretchr/testify", "go.uber.org/goleak"}

var forTests = []string{"transport/conformance", "internal/device/devicetest", "internal/device/cuda/drivertest", "internal/worker/workertest", "internal/workloadtest", "internal/familytest", "internal/checkpoint/checkpointtest"}

func TestLayers(t *testing.T) { checkLayers(t, ours(t)) }

func checkLayers(t *testing.T, all []listed) {
	t.Helper()
	for _, p := range all {
		i := slices.IndexFunc(layers, func(l layer) bool { return matches(l.pkg, p.name()) })
		if i < 0 {
			t.Errorf("%s: no layer; give it one in internal/lint/layering_test.go", p.name())
			continue
		}
		for _, imp := range p.Imports {
			name, ok := below(imp)
			if ok && !slices.ContainsFunc(layers[i].may, func(m string) bool { return matches(m, name) }) {
				t.Errorf("%s imports %s; its layer may import %v only", p.name(), name, layers[i].may)
			}
		}
	}
}

func TestLinks(t *testing.T) {
	for _, p := range ours(t) {
		for _, rule := range neverLinks {
			if !matches(rule.pkg, p.name()) {
				continue
			}
			for _, dep := range p.Deps {
				if forbidden(rule.never, dep) {
					t.Errorf("%s links %s: %s", p.name(), dep, rule.why)
				}
			}
		}
	}
}

func TestTestLibrariesStayInTests(t *testing.T) {
	for _, p := range ours(t) {
		if slices.Contains(forTests, p.name()) {
			continue
		}
		for _, imp := range p.Imports {
			if slices.ContainsFunc(testLibraries, func(l string) bool { return imp == l || strings.HasPrefix(imp, l+"/") }) {
				t.Errorf("%s imports %s outside its tests", p.name(), imp)
			}
		}
	}
}

func TestLayersAreUsed(t *testing.T) {
	planned := []string{"internal/device/cuda/kernels/compile"} // packages without code in a default build
	for _, l := range layers {
		if !slices.ContainsFunc(ours(t), func(p listed) bool { return matches(l.pkg, p.name()) }) && !slices.Contains(planned, l.pkg) {
			t.Errorf("layer %q has no package", l.pkg)
		}
	}
}

func TestMatches(t *testing.T) {
	require.True(t, matches("transport", "transport"))
	require.False(t, matches("transport", "transport/plan"))
	require.True(t, matches("transport/...", "transport"))
	require.True(t, matches("transport/...", "transport/plan"))
	require.False(t, matches("transport/...", "transports"))
	require.True(t, matches("...", "genie"))
	require.True(t, forbidden([]string{"gorgonia.org/"}, "gorgonia.org/tensor"))
	require.True(t, forbidden([]string{"internal/worker/..."}, module+"/internal/worker"))
	require.False(t, forbidden([]string{"internal/engine"}, "internal/engine"))
}

// listed is the go command's description of a package.
type listed struct {
	ImportPath string   `json:"ImportPath"`
	CgoFiles   []string `json:"CgoFiles"`
	Imports    []string `json:"Imports"`
	Deps       []string `json:"Deps"`
}

// name is the path below the module's.
func (p listed) name() string {
	n, _ := below(p.ImportPath)
	return n
}

func below(path string) (string, bool) { return strings.CutPrefix(path, module+"/") }

func matches(pattern, name string) bool {
	if pattern == "..." {
		return true
	}
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == prefix || strings.HasPrefix(name, prefix+"/")
	}
	return name == pattern
}

// forbidden reports whether the import path dep is one of never: import path
// prefixes that have a dot, patterns of this module that have none.
func forbidden(never []string, dep string) bool {
	name, inside := below(dep)
	return slices.ContainsFunc(never, func(n string) bool {
		if strings.Contains(strings.TrimSuffix(n, "..."), ".") {
			return strings.HasPrefix(dep, n)
		}
		return inside && matches(n, name)
	})
}

// list asks the go command about the packages that a build with a tag has, or about
// those of the default build. It reads source files only: nothing is compiled or
// fetched. Files that use cgo count, with or without a C compiler.
func list(tag string) ([]listed, error) {
	cmd := exec.Command("go", "list", "-tags", tag, "-json=ImportPath,CgoFiles,Imports,Deps", "./...", "./testdata/models")
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(err, errors.New(stderr.String()))
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		all = append(all, p)
	}
}

// defaultBuild is list's answer for the default build, asked once.
var defaultBuild = sync.OnceValues(func() ([]listed, error) { return list("") })

func ours(t *testing.T) []listed {
	t.Helper()
	all, err := defaultBuild()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// root is the module's folder.
func root() string {
	return filepath.Join("..", "..")
}

func TestRoot(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root(), "go.mod"))
	require.NoError(t, err)
	require.Contains(t, string(mod), "module "+module+"\n")
}
