package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/genie-sdk/go/baselines/matrix"
)

// benchProgress shows the progress of a matrix run: a bar on a terminal,
// otherwise a line at intervals.
type benchProgress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar
	next  int // samples at which the next line is due
	began bool
	tty   bool
}

func (a *app) benchProgress() *benchProgress {
	p := &benchProgress{out: a.stderr}
	if f, ok := a.stderr.(*os.File); ok {
		p.tty = term.IsTerminal(int(f.Fd()))
	}
	return p
}

// report is called at every step.
func (p *benchProgress) report(s matrix.Progress) {
	if s.Total == 0 {
		return
	}
	if p.tty {
		p.draw(s)
		return
	}
	if s.Done < p.next && s.Doing != "" || p.began && s.Opening {
		return
	}
	p.began = true
	p.next = s.Done + max(s.Total/20, 1)
	_, _ = fmt.Fprintln(p.out, progressText(s))
}

// progressText describes the state of a run in one line.
func progressText(s matrix.Progress) string {
	text := fmt.Sprintf("%d of %d results, %s so far", s.Done, s.Total, s.Elapsed.Round(time.Second))
	if s.Left > 0 {
		text += fmt.Sprintf(", about %s left", s.Left.Round(time.Second))
	}
	if s.Doing != "" {
		text += "; " + doing(s)
	}
	return text
}

// doing is the current case and its operation, without the function's name.
func doing(s matrix.Progress) string {
	_, name, _ := strings.Cut(s.Doing, "/")
	return map[bool]string{true: "opening ", false: ""}[s.Opening] + name
}

func (p *benchProgress) draw(s matrix.Progress) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions(s.Total, progressbar.OptionSetWriter(p.out), progressbar.OptionSetWidth(24),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
	}
	text := doing(s)
	if s.Left > 0 {
		text = fmt.Sprintf("%s left; %s", s.Left.Round(time.Second), text)
	}
	p.bar.ChangeMax(s.Total) // omitted cases reduce it
	p.bar.Describe(text)
	_ = p.bar.Set(s.Done)
}

// stop removes the bar from the screen.
func (p *benchProgress) stop() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
