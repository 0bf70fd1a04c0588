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

// setupSilence is how long a log of a setup says nothing, at most.
const setupSilence = 20 * time.Second

// setupProgress shows what a setup does: what it says as lines of standard
// output, and in between a line on a terminal that is always the last, or, where
// there is none, a further line now and then.
type setupProgress struct {
	lines  io.Writer // nil if standard output is for something else
	status io.Writer // the terminal; nil if there is none
	width  func() int
	now    func() time.Time

	printed time.Time // when the last line was
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

// step is told again and again what is under way.
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

// draw writes over the line on the terminal.
func (p *setupProgress) draw(text string) {
	runes := []rune(text)
	runes = runes[:min(len(runes), max(p.width()-1, 0))]
	_, _ = fmt.Fprintf(p.status, "\r%s%s", string(runes), strings.Repeat(" ", max(p.drawn-len(runes), 0)))
	p.drawn = len(runes)
}

// stop takes the line off the terminal.
func (p *setupProgress) stop() {
	if p.drawn > 0 {
		_, _ = fmt.Fprintf(p.status, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn = 0
	}
}
