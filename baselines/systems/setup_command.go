package systems

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// lastRunes is the maximum length of a step's last line.
const lastRunes = 200

// step runs a part of a setup. The output of run goes to line, if that is not
// nil, and Step is called with its state meanwhile.
func (o SetupOptions) step(name string, line func(string), run func(out func(string)) error) error {
	began := time.Now()
	lines, ended := make(chan string), make(chan error)
	go func() { ended <- run(func(l string) { lines <- l }) }()
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	last := ""
	for {
		select {
		case l := <-lines:
			if line != nil {
				line(l)
			}
			if l != "" {
				last = l
			}
		case <-tick.C:
			o.Step(SetupStep{Name: name, Elapsed: time.Since(began), Last: beginning(last, lastRunes)})
		case err := <-ended:
			return err
		}
	}
}

// beginning is the first part of a text of this length.
func beginning(s string, runes int) string {
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	return string([]rune(s)[:runes-1]) + "…"
}

// setupCommand is a command of a setup.
type setupCommand struct {
	exe     string
	args    []string
	mark    string // of its processes, by which a later setup finds them
	scratch string // for its temporary files
}

// run runs it to its end, or ends it and what it started with ctx. out gets
// each line of its output; the result explains a failure.
func (c setupCommand) run(ctx context.Context, out func(string)) (said string, err error) {
	cmd := exec.Command(c.exe, c.args...) //nolint:noctx // running it is the purpose; its group is ended below
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1", "PIP_NO_COLOR=1", "PYTHONNOUSERSITE=1", envMark+"="+c.mark,
		"CMAKE_ARGS="+strings.TrimSpace("-DGGML_NATIVE=ON -DGGML_RPC=ON "+os.Getenv("CMAKE_ARGS")))
	if runtime.GOOS != "windows" { // builds already reach the limit of path lengths
		cmd.Env = append(cmd.Env, "TMPDIR="+c.scratch)
	}
	detach(cmd)
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return "", err
	}
	release := context.AfterFunc(ctx, func() { killAll(cmd) })
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		release() // from here on the number may belong to another process
		killAll(cmd)
		killMarked(envMark + "=" + c.mark)
		const grace = 5 * time.Second // time to read their output; after that the pipe is abandoned
		_ = r.SetReadDeadline(time.Now().Add(grace))
		ended <- err
	}()
	var kept outcome
	readLines(r, func(l string) {
		kept.add(l)
		out(l)
	})
	return kept.text(), <-ended
}

// outcome is the part of a command's output that explains its failure.
type outcome struct {
	errors []string // the first lines that report errors
	last   tail     // used if there are none
}

// isError recognises the errors of compilers, CMake, Python and pip.
var isError = regexp.MustCompile(`(?i)error(:| at )`)

func (o *outcome) add(line string) {
	const lines, runes = 4, 300
	_, _ = o.last.Write([]byte(line + "\n"))
	if len(o.errors) < lines && isError.MatchString(line) && !strings.HasSuffix(line, "error: subprocess-exited-with-error") {
		o.errors = append(o.errors, beginning(strings.TrimSpace(line), runes))
	}
}

func (o *outcome) text() string {
	if len(o.errors) > 0 {
		return strings.Join(o.errors, "\n\t")
	}
	return o.last.lines(6)
}

// readLines calls line with each line of r, up to a carriage return or a
// newline, as text without effect on a terminal. It passes only the beginning
// of a long line.
func readLines(r io.Reader, line func(string)) {
	const limit = 4 << 10
	from := bufio.NewReader(r)
	var text []byte
	for {
		b, err := from.ReadByte()
		if err != nil || b == '\n' || b == '\r' {
			if err == nil || len(text) > 0 {
				line(plain(string(text)))
			}
			text = text[:0]
			if err != nil {
				return
			}
		} else if len(text) < limit {
			text = append(text, b)
		}
	}
}

// control is a sequence that a terminal does not show.
var control = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)`)

// plain is a text without invisible characters and trailing spaces.
func plain(s string) string {
	s = control.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	return strings.TrimRight(s, " ")
}
