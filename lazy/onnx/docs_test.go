package onnx_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy/onnx"
)

var update = flag.Bool("update", false, "write the list of operators in docs/onnx.md")

var page = filepath.Join("..", "..", "docs", "onnx.md")

// TestOperatorsAreListed holds the page to the operators that are imported, and to
// those that are refused by name.
func TestOperatorsAreListed(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "Imported: %s.\n\n", strings.Join(onnx.Operators(), ", "))
	b.WriteString("Refused, whatever their operands are:\n\n")
	why := map[string][]string{}
	for op, reason := range onnx.RefusedOperators() {
		require.NotContains(t, onnx.Operators(), op)
		why[reason] = append(why[reason], op)
	}
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		fmt.Fprintf(&b, "- %s: %s\n", reason, strings.Join(slices.Sorted(slices.Values(why[reason])), ", "))
	}
	b.WriteString("\nOperators of other domains are refused, unless the model defines them as functions.\n")
	if *update {
		replace(t, page, "operators", b.String())
	}
	require.Equal(t, b.String(), part(t, page, "operators"), "run the test with -update")
}

// part is the text of a page between the marks of a name.
func part(t *testing.T, path, name string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(text), "<!-- "+name+" -->\n")
	require.True(t, ok, name)
	in, _, ok := strings.Cut(after, "<!-- /"+name+" -->")
	require.True(t, ok, name)
	return in
}

func replace(t *testing.T, path, name, with string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	was := part(t, path, name)
	open := "<!-- " + name + " -->\n"
	out := strings.Replace(string(text), open+was, open+with, 1)
	require.NoError(t, os.WriteFile(path, []byte(out), 0o600))
}
