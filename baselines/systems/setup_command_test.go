package systems

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadLines checks that control sequences from a compiler or a package's
// name have no effect on a terminal, and that a line without an end takes no
// more than its limit.
func TestReadLines(t *testing.T) {
	var lines []string
	in := "a\r\n\x1b[1;31mred\x1b[0m\t1%\r2%\n\x1b]0;title\x07b\x1b]8;;x\x1b\\link\x1bcd\n\xff\u202e\u200b\u0000é…\n" + strings.Repeat("x", 1<<20) + "\nend"
	readLines(strings.NewReader(in), func(l string) { lines = append(lines, l) })
	require.Equal(t, []string{"a", "", "red 1%", "2%", "blinkd", "\ufffdé…", strings.Repeat("x", 4<<10), "end"}, lines)
	for _, l := range lines {
		require.NotContains(t, l, "\x1b")
	}
}

// TestOutcome checks the explanation of a failure, on the output of pip 23.2
// and gcc for an extension with a missing header, with and without pip's
// verbose option.
func TestOutcome(t *testing.T) {
	for name, text := range map[string]string{
		"verbose": `  building 'bad' extension
  gcc -Wall -fPIC -c bad.c -o build/bad.o
  bad.c:1:10: fatal error: nothing.h: No such file or directory
      1 | #include <nothing.h>
        |          ^~~~~~~~~~~
  compilation terminated.
  error: subprocess-exited-with-error
  
  × Building wheel for bad (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> See above for output.
  
  note: This error originates from a subprocess, and is likely not a problem with pip.
  Building wheel for bad (pyproject.toml): finished with status 'error'
  ERROR: Failed building wheel for bad
Failed to build bad
ERROR: Could not build wheels for bad`,
		"usual": `  error: subprocess-exited-with-error
  
  × Building wheel for bad (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> [15 lines of output]
      bad.c:1:10: fatal error: nothing.h: No such file or directory
          1 | #include <nothing.h>
      [end of output]
  
  note: This error originates from a subprocess, and is likely not a problem with pip.
  ERROR: Failed building wheel for bad
ERROR: Could not build wheels for bad`,
	} {
		var o outcome
		readLines(bytes.NewReader([]byte(text)), o.add)
		require.Equal(t, "bad.c:1:10: fatal error: nothing.h: No such file or directory\n\t"+
			"ERROR: Failed building wheel for bad\n\tERROR: Could not build wheels for bad", o.text(), name)
	}
	var quiet outcome
	for _, l := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		quiet.add(l)
	}
	require.Equal(t, "2\n\t3\n\t4\n\t5\n\t6\n\t7", quiet.text())
}
