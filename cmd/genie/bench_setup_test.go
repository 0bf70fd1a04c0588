package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchSetupRefuses(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("GENIE_REFERENCE_SYSTEMS", cache)
	t.Setenv("PATH", cache) // no interpreter
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--skip", "torch"}, exitUsage, `--skip is "torch", not one of onnxruntime, ray, llama`},
		{[]string{"--skip", "nothing"}, exitUsage, `--skip is "nothing"`},
		{[]string{"now"}, exitUsage, "takes no argument"},
		{nil, exitFailure, "no Python 3.11, 3.12, 3.13"},
		{[]string{"--python", "python-that-is-not-there"}, exitFailure, "python-that-is-not-there"},
	} {
		r := inProcess(t.Context(), strings.NewReader(""), append([]string{"bench", "setup"}, c.args...)...)
		require.Equal(t, c.code, r.code, r.stderr)
		require.Contains(t, r.stderr, c.text)
		require.Empty(t, r.stdout)
	}
}

// interpreterScript is a Python that makes environments in which a group does not
// install while the file "broken" is beside it.
const interpreterScript = `#!/bin/sh
case "$*" in
*version_info*) echo 3.12.4 ;;
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip install "*llama*) if test -e "$BROKEN"; then echo no compiler; exit 1; fi ;;
"-m pip install "* | "-c import "*) ;;
*) exit 9 ;;
esac
`

// TestBenchSetup checks the command's output as lines and as an object.
func TestBenchSetup(t *testing.T) {
	dir := t.TempDir()
	python, broken := filepath.Join(dir, "python"), filepath.Join(dir, "broken")
	require.NoError(t, os.WriteFile(python, []byte(interpreterScript), 0o700))
	require.NoError(t, os.WriteFile(broken, nil, 0o600))
	t.Setenv("GENIE_REFERENCE_SYSTEMS", filepath.Join(dir, "cache"))
	t.Setenv("GENIE_PYTHON", "")
	t.Setenv("BROKEN", broken)
	setup := func(args ...string) result {
		r := inProcess(t.Context(), strings.NewReader(""), append([]string{"bench", "setup", "--python", python}, args...)...)
		require.Equal(t, exitOK, r.code, r.stderr)
		require.Empty(t, r.stderr)
		return r
	}
	first := setup("--skip", "ray").stdout
	require.Contains(t, first, "group torch: ready after")
	require.Contains(t, first, ": ready\n")
	require.Contains(t, first, "without ray: left out by --skip\nwithout llama: exit status 1: no compiler\n")
	again := setup("--skip", "ray").stdout
	require.Contains(t, again, "group llama does not install")
	require.Contains(t, again, ": as before\n")
	require.NotContains(t, again, "torch")

	require.NoError(t, os.Remove(broken))
	for _, c := range []struct {
		args    []string
		made    bool
		missing map[string]string
	}{
		{[]string{"--skip", "ray"}, true, map[string]string{"ray": "left out by --skip"}},
		{nil, true, map[string]string{}},
		{nil, false, map[string]string{}},
		{[]string{"--skip", "llama"}, true, map[string]string{"llama": "left out by --skip"}},
	} {
		var report benchSetupReport
		require.NoError(t, json.Unmarshal([]byte(setup(append(c.args, "--json")...).stdout), &report), "nothing but the object")
		require.Equal(t, c.made, report.Made)
		require.Equal(t, c.missing, report.Missing)
		require.DirExists(t, report.Dir)
	}
	done := setup("--skip", "llama").stdout
	require.Regexp(t, `^\S+: Python 3\.12\.4, .*: up to date\nwithout llama: left out by --skip\n$`, done)
	entries, err := os.ReadDir(filepath.Join(dir, "cache"))
	require.NoError(t, err)
	require.Len(t, entries, 2)
}
