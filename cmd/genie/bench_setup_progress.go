package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/genie-sdk/go/baselines/systems"
)

// setupSilence is the longest pause between two lines in the log of a setup.
const setupSilence = 20 * time.Second

// setupProgress shows the progress of a setup: its messages as lines on
// standard output, and between them its state as the last line of the terminal
// or, without a terminal, as a further line at intervals.
type setupProgress struct {
	lines  io.Writer // nil if standard output is for something else
	status io.Writer // the terminal; nil if there is none
	width  func() int
	now    func() time.Time

	printed time.Time // time of the last line
	drawn   int       // characters of the line on the terminal
	err     error     // of lines
}

func (a *app) setupProgress(asJSON bool) *setupProgress {
	p := &setupProgress{lines: a.stdout, now: time.Now, printed: time.Now()}
	if asJSON {
		p.lines = nil
	}
	if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.status = f
		p.width = func() int {
			const usual = 80
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
				return w
			}
			return usual
		}
	}
	return p
}

// said prints a line.
func (p *setupProgress) said(line string) {
	p.stop()
	p.printed = p.now()
	if p.lines == nil {
		return
	}
	if _, err := fmt.Fprintln(p.lines, line); err != nil {
		p.err = errors.Join(p.err, fmt.Errorf("standard output: %w", err))
	}
}

// step is called repeatedly with the current step.
func (p *setupProgress) step(s systems.SetupStep) {
	text := fmt.Sprintf("  %s: %s so far", s.Name, s.Elapsed.Round(time.Second))
	if s.Last != "" {
		text += ": " + strings.TrimSpace(s.Last)
	}
	switch {
	case p.status != nil:
		p.draw(text)
	case p.now().Sub(p.printed) >= setupSilence:
		p.said(text)
	}
}

// draw overwrites the line on the terminal.
func (p *setupProgress) draw(text string) {
	runes := []rune(text)
	runes = runes[:min(len(runes), max(p.width()-1, 0))]
	_, _ = fmt.Fprintf(p.status, "\r%s%s", string(runes), strings.Repeat(" ", max(p.drawn-len(runes), 0)))
	p.drawn = len(runes)
}

// stop removes the line from the terminal.
func (p *setupProgress) stop() {
	if p.drawn > 0 {
		_, _ = fmt.Fprintf(p.status, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn = 0
	}
}
