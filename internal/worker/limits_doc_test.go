package worker_test

import (
	"fmt"
	"go/constant"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/genie-sdk/go/internal/worker"
)

// row is a row of docs/limits.md: its constant, value, unit and tests.
var row = regexp.MustCompile("(?m)^\\| [^|]+ \\| `([A-Za-z0-9.]+)`[^|]* \\| ([0-9]+)( B| s| ms|) \\| [^|]+ \\| ([^|]+) \\|$")

// TestLimitsDocument compares the page with the code, in both directions: the
// page lists each number of the code that is a limit, with its value, and each
// row's limit and tests exist in the code.
func TestLimitsDocument(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "limits.md"))
	require.NoError(t, err)
	code := load(t, root)
	rows := row.FindAllStringSubmatch(string(text), -1)
	require.Len(t, rows, strings.Count(string(text), "\n| ")-1, "a row is not in the form of the others")
	seen := map[string]bool{}
	for _, m := range rows {
		name := m[1]
		require.False(t, seen[name], "%s stands there twice", name)
		seen[name] = true
		want, ok := options()[name]
		if !ok {
			want, ok = code.value(spelled(code, name))
		}
		require.True(t, ok, "%s is nowhere in the code", name)
		require.Equal(t, want.ExactString(), inUnits(t, m[2], m[3]), name)
		for test := range strings.SplitSeq(m[4], ", ") {
			require.True(t, code.tests[strings.Trim(test, "`")], "%s: there is no test %s", name, test)
		}
	}
	there := func(name string) bool {
		return slices.ContainsFunc([]string{name, exported(name)}, func(n string) bool { return seen[n] })
	}
	for _, name := range code.limits() {
		_, ok := excused[name]
		assert.True(t, there(name) || ok, "%s is a limit, or not: it wants a row in docs/limits.md or a reason in excused", name)
		assert.False(t, there(name) && ok, "%s is in docs/limits.md and excused", name)
	}
	for name := range options() {
		_, ok := excused[name]
		require.True(t, there(name) || ok, "the option %s wants a row in docs/limits.md or a reason in excused", name)
	}
	for name, why := range excused {
		_, option := options()[name]
		require.True(t, option || slices.Contains(code.limits(), name), "%s is excused and not there", name)
		require.NotEmpty(t, why)
	}
}

// TestLimitsAreFound verifies that the scan finds limits of every form.
func TestLimitsAreFound(t *testing.T) {
	code := load(t, filepath.Join("..", ".."))
	found := code.limits()
	for _, name := range []string{
		"wire.MaxControl", "wire.HandshakeTimeout", "worker.queueLen", "worker.maxDetached", "worker.maxPartials", "remote.uploads",
		"admin.scrapes", "plan.maxDimTerms", "access.FailedBurst", "connlimit.Grace", "genie.maxReplays", "op.MaxPlanWork", "grpcwire.MaxMessage",
	} {
		require.Contains(t, found, name)
	}
	for name, want := range map[string]string{"grpcwire.MaxMessage": "4456488", "worker.gatherRuns": "16", "remote.cancelWait": "500000000", "plan.MaxDimSize": "1099511627776"} {
		v, ok := code.value(name)
		require.True(t, ok, name)
		require.Equal(t, want, v.ExactString(), name)
	}
	for _, folder := range append(slices.Clone(between), apart...) {
		_, err := os.Stat(filepath.Join("..", "..", folder))
		require.NoError(t, err)
	}
}

// inUnits is a row's value as the code has it.
func inUnits(t *testing.T, value, unit string) string {
	t.Helper()
	n, err := strconv.ParseInt(value, 10, 64)
	require.NoError(t, err)
	switch unit {
	case " s":
		n *= int64(time.Second)
	case " ms":
		n *= int64(time.Millisecond)
	}
	return strconv.FormatInt(n, 10)
}

// options are the numbers of a worker's options, as they are when none are given,
// and limits of other modules.
func options() map[string]constant.Value {
	out := map[string]constant.Value{"protowire.DefaultRecursionLimit": constant.MakeInt64(protowire.DefaultRecursionLimit)}
	v := reflect.ValueOf(worker.Defaults)
	for i := range v.NumField() {
		f, name := v.Type().Field(i), "worker.Options."+v.Type().Field(i).Name
		switch {
		case !f.IsExported():
		case v.Field(i).CanInt():
			out[name] = constant.MakeInt64(v.Field(i).Int())
		case v.Field(i).CanUint():
			out[name] = constant.MakeUint64(v.Field(i).Uint())
		}
	}
	return out
}

// exported is a name as export_test.go would have it.
func exported(name string) string {
	pkg, short, _ := strings.Cut(name, ".")
	return pkg + "." + strings.ToUpper(short[:1]) + short[1:]
}

// spelled is a row's name as the code has it.
func spelled(code *module, name string) string {
	pkg, short, _ := strings.Cut(name, ".")
	if _, ok := code.by[name]; !ok && short != "" {
		return fmt.Sprintf("%s.%s%s", pkg, strings.ToLower(short[:1]), short[1:])
	}
	return name
}
