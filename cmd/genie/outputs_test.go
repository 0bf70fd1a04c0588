//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// outputs are the ways in which the program writes a file that its user names.
// Each leaves the same bytes whenever it runs.
func outputs(to string) map[string][]string {
	return map[string][]string{
		"logits": {"generate", "--model", basic, "--tokens", "1,5,9", "--max-new", "2", "--ignore-eos", "--logits-out", to},
		"report": {"bench", "report", newResults, "--out", to},
	}
}

// TestOutputsKeepWhatTheyAreWrittenTo: a pipe, a device and a link are what
// they were, and the bytes are where they lead (curl/curl#6882,
// sahib/rmlint#763, wild-linker/wild#546).
func TestOutputsKeepWhatTheyAreWrittenTo(t *testing.T) {
	for name := range outputs("") {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			write := func(to string) result { return cli(t, outputs(at(to))[name]...) }
			require.Zero(t, write("plain").code)
			want, err := os.ReadFile(at("plain"))
			require.NoError(t, err)
			require.NotEmpty(t, want)

			require.NoError(t, syscall.Mkfifo(at("p"), 0o600))
			require.NoError(t, os.Symlink("p", at("to-p")))
			for _, to := range []string{"p", "to-p"} {
				got := make(chan []byte)
				go func() {
					b, _ := os.ReadFile(at("p"))
					got <- b
				}()
				r := write(to)
				require.Zero(t, r.code, r.stderr)
				require.True(t, bytes.Equal(want, <-got))
			}

			require.NoError(t, os.WriteFile(at("target"), []byte("old"), 0o640))
			require.NoError(t, os.Symlink("target", at("to-target")))
			require.NoError(t, os.Symlink("made", at("to-nothing")))
			for link, target := range map[string]string{"to-target": "target", "to-nothing": "made"} {
				r := write(link)
				require.Zero(t, r.code, r.stderr)
				got, err := os.ReadFile(at(target))
				require.NoError(t, err)
				require.True(t, bytes.Equal(want, got))
			}
			info, err := os.Stat(at("target"))
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o640), info.Mode())

			require.NoError(t, os.Mkdir(at("folder"), 0o700))
			r := write("folder")
			require.Equal(t, 1, r.code)
			require.Contains(t, r.stderr, "is a folder")
			require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)

			for name, kind := range map[string]os.FileMode{
				"p": os.ModeNamedPipe, "to-p": os.ModeSymlink, "to-target": os.ModeSymlink, "to-nothing": os.ModeSymlink, "folder": os.ModeDir,
			} {
				info, err := os.Lstat(at(name))
				require.NoError(t, err)
				require.Equal(t, kind, info.Mode().Type(), name)
			}
			left, err := filepath.Glob(at("*.tmp-*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// TestOutputOnStandardOutput: the descriptor is written, where it stands.
func TestOutputOnStandardOutput(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	require.Zero(t, cli(t, outputs(plain)["logits"]...).code)
	want, err := os.ReadFile(plain)
	require.NoError(t, err)
	for name := range map[string]bool{"pipe": true, "file": false} {
		cmd := command(t, outputs("/dev/stdout")["logits"]...)
		var got []byte
		if name == "pipe" {
			got, err = cmd.Output()
			require.NoError(t, err)
		} else {
			out, err := os.Create(filepath.Join(dir, "out"))
			require.NoError(t, err)
			cmd.Stdout = out
			require.NoError(t, cmd.Run())
			require.NoError(t, out.Close())
			got, err = os.ReadFile(out.Name())
			require.NoError(t, err)
		}
		_, logits, found := bytes.Cut(got, []byte("\n")) // after the line of tokens
		require.True(t, found)
		require.True(t, bytes.Equal(want, logits), name)
	}
}

// TestTokensAreNoPipe: a file of tokens is added to, and read again by workers.
func TestTokensAreNoPipe(t *testing.T) {
	p := filepath.Join(t.TempDir(), "p")
	require.NoError(t, syscall.Mkfifo(p, 0o600))
	r := cli(t, "token", "alice", "--tokens", p)
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "is not a regular file")
	require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
}
