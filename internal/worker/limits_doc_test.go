package worker_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/genie-sdk/go/internal/access"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
)

// limits are the constants that docs/limits.md names.
func limits() map[string]any {
	return map[string]any{
		"wire.MaxControl": wire.MaxControl, "wire.MaxHello": wire.MaxHello, "wire.MaxFramePayload": wire.MaxFramePayload,
		"wire.MaxMessagePayload": wire.MaxMessagePayload, "wire.MaxErrorText": wire.MaxErrorText, "wire.MaxStreams": wire.MaxStreams,
		"wire.MaxSessions": wire.MaxSessions, "wire.MaxPlans": wire.MaxPlans, "wire.MaxKept": wire.MaxKept, "wire.HandshakeTimeout": wire.HandshakeTimeout,
		"wire.StallTimeout": wire.StallTimeout, "protowire.DefaultRecursionLimit": protowire.DefaultRecursionLimit,
		"worker.Options.MaxStaging": worker.Defaults.MaxStaging, "worker.Options.MaxConns": worker.Defaults.MaxConns,
		"worker.MaxPartials": worker.MaxPartials, "worker.MaxRemembered": worker.MaxRemembered, "worker.Options.Patience": worker.Defaults.Patience,
		"engine.MaxIdlePlans": engine.MaxIdlePlans, "engine.MaxIdlePlanBytes": engine.MaxIdlePlanBytes, "engine.MaxBindingBytes": engine.MaxBindingBytes,
		"worker.QueueLen": worker.QueueLen, "worker.MaxGRPCStreams": worker.MaxGRPCStreams, "worker.MaxHeaderList": worker.MaxHeaderList,
		"grpcwire.MaxMessage": grpcwire.MaxMessage, "transport.MaxLoopRuns": transport.MaxLoopRuns,
		"transport.MaxLoopStop": transport.MaxLoopStop,
		"plan.MaxDimSize":       plan.MaxDimSize, "plan.MaxPlanBytes": plan.MaxPlanBytes, "plan.MaxPlanElements": plan.MaxPlanElements,
		"plan.MaxValues": plan.MaxValues, "plan.MaxSteps": plan.MaxSteps, "plan.MaxStates": plan.MaxStates, "plan.MaxSymbols": plan.MaxSymbols,
		"plan.MaxRank": plan.MaxRank, "plan.MaxOpInputs": plan.MaxOpInputs, "plan.MaxAttrs": plan.MaxAttrs, "plan.MaxAttrList": plan.MaxAttrList,
		"plan.MaxConstBytes": plan.MaxConstBytes, "plan.MaxNameLen": plan.MaxNameLen, "credentials.MaxToken": credentials.MaxToken,
		"access.MaxTokens": access.MaxTokens, "access.MaxIdentity": access.MaxIdentity, "access.FailedBurst": access.FailedBurst,
		"access.FailedInterval": access.FailedInterval, "access.MaxAddresses": access.MaxAddresses,
	}
}

// folders are the packages of limits, below the module's root.
var folders = map[string]string{
	"transport": "transport", "wire": "transport/wire", "grpcwire": "transport/wire/grpcwire", "plan": "transport/plan",
	"credentials": "transport/credentials", "access": "internal/access", "engine": "internal/engine",
}

func TestLimitsDocument(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "limits.md"))
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| [^|]+ \\| `([A-Za-z.]+)`[^|]* \\| ([0-9]+)( B| s|) \\| [^|]+ \\| ([^|]+) \\|$")
	want, tests := limits(), tested(t, root)
	seen := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		name, value, unit := m[1], m[2], m[3]
		require.False(t, seen[name], "%s stands there twice", name)
		seen[name] = true
		require.Contains(t, want, name)
		got := fmt.Sprint(want[name])
		if d, ok := want[name].(time.Duration); ok {
			require.Equal(t, " s", unit, name)
			got = strconv.Itoa(int(d / time.Second))
		}
		require.Equal(t, got, value, name)
		for test := range strings.SplitSeq(m[4], ", ") {
			require.True(t, tests[strings.Trim(test, "`")], "%s: there is no test %s", name, test)
		}
	}
	require.Len(t, seen, strings.Count(string(text), "\n| ")-1, "a row is not in the form of the others")
	for name := range want {
		require.True(t, seen[name], "%s is not in docs/limits.md", name)
	}
	for pkg, folder := range folders {
		for _, name := range limitsIn(t, filepath.Join(root, folder)) {
			require.True(t, seen[pkg+"."+name], "%s.%s is not in docs/limits.md", pkg, name)
		}
	}
}

// tested are the names of the tests of the packages that hold limits.
func tested(t *testing.T, root string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, folder := range []string{"internal/worker", "internal/engine", "internal/access", "transport/plan", "transport/wire", "transport/internal/secure"} {
		for _, f := range parsed(t, filepath.Join(root, folder), true) {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Test") {
					names[fn.Name.Name] = true
				}
			}
		}
	}
	return names
}

// limitsIn are the exported constants of a package whose names say that they are
// limits.
func limitsIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	limit := regexp.MustCompile(`^Max[A-Z]|Timeout$|^Failed`)
	for _, f := range parsed(t, folder, false) {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				for _, n := range s.(*ast.ValueSpec).Names {
					if n.IsExported() && limit.MatchString(n.Name) {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

func parsed(t *testing.T, folder string, tests bool) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") != tests {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}
