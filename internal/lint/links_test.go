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

// neverLinks lists packages that a package must not link into a binary,
// directly or indirectly. For patterns outside this module only the prefix
// counts.
var neverLinks = []struct {
	pkg, why string
	never    []string
}{
	{
		"genie", "a service or a worker without a fleet links no directory's client",
		[]string{"github.com/nats-io/"},
	},
	{
		"transport/...", "a service or a worker without a fleet links no directory's client",
		[]string{"github.com/nats-io/"},
	},
	{
		"worker", "a service or a worker without a fleet links no directory's client",
		[]string{"github.com/nats-io/"},
	},
	{
		"internal/worker/...", "a service or a worker without a fleet links no directory's client",
		[]string{"github.com/nats-io/"},
	},
	{
		"workloads/...", "a service or a worker without a fleet links no directory's client",
		[]string{"github.com/nats-io/"},
	},
	{
		"examples/...", "a service or a worker without a fleet links no directory's client",
		[]string{"github.com/nats-io/"},
	},
	{
		"fleet", "a service or a worker without a fleet links no directory's client",
		[]string{"github.com/nats-io/"},
	},
	{
		"fleet/route", "a service or a worker without a fleet links no directory's client",
		[]string{"github.com/nats-io/"},
	},
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

var forTests = []string{"transport/conformance", "internal/device/devicetest", "internal/device/cuda/drivertest", "internal/worker/workertest", "internal/workloadtest", "internal/familytest", "internal/checkpoint/checkpointtest", "internal/fleettest"}

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
