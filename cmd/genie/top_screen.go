package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/term"
)

// Control sequences of xterm: switch to the alternate screen without a cursor,
// and back.
const (
	screenOpen  = "\x1b[?1049h\x1b[?25l"
	screenClose = "\x1b[?25h\x1b[?1049l"
)

// screen shows each report on a terminal in place of the previous one, and
// restores the terminal at the end.
type screen struct {
	out     *os.File
	at      string
	last    *topReport
	gone    time.Time // when updates began to fail; zero while they succeed
	why     error     // error of the last failure
	signals chan os.Signal
	keys    *keys
}

// newScreen draws on out; in, which may be nil, is the source of keys.
func newScreen(in, out *os.File, at string) *screen {
	s := &screen{out: out, at: at, signals: make(chan os.Signal, 1), keys: newKeys(in)}
	if len(screenSignals) > 0 { // an empty list would mean all signals
		signal.Notify(s.signals, screenSignals...)
	}
	_, _ = out.WriteString(screenOpen)
	return s
}

func (s *screen) close() {
	signal.Stop(s.signals)
	s.keys.close()
	_, _ = s.out.WriteString(screenClose)
}

func (s *screen) left() <-chan struct{} { return s.keys.quit }

func (s *screen) show(r *topReport) error {
	s.last, s.gone, s.why = r, time.Time{}, nil
	return s.draw()
}

// lost waits for the worker to return; the last report stays visible.
func (s *screen) lost(err error) error {
	if s.gone.IsZero() {
		s.gone = time.Now()
	}
	s.why = err
	if asked, ok := errors.AsType[*url.Error](err); ok { // it contains the address
		s.why = asked.Err
	}
	return s.draw()
}

func (s *screen) events() <-chan os.Signal { return s.signals }

// handle redraws when the terminal's size changes, and restores the terminal
// while the program is stopped.
func (s *screen) handle(sig os.Signal) error {
	if isSuspend(sig) {
		_, _ = s.out.WriteString(screenClose)
		s.keys.restore()
		if err := suspend(); err != nil {
			return err
		}
		s.keys.take()
		_, _ = s.out.WriteString(screenOpen)
	}
	return s.draw()
}

func (s *screen) draw() error {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = 80, 24
	}
	lines := fit(s.lines(width), width, height)
	if _, err := fmt.Fprintf(s.out, "\x1b[H%s\x1b[K\x1b[J", strings.Join(lines, "\x1b[K\n")); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	return nil
}

// lines are the lines to show.
func (s *screen) lines(width int) (lines []string) {
	switch {
	case s.why != nil:
		now := time.Now()
		lines = append(lines,
			fmt.Sprintf("%s  %s  NOT REACHABLE for %.0f s", s.at, now.Format(time.TimeOnly), now.Sub(s.gone).Seconds()), line(s.why))
	case s.last != nil:
		state, about := s.last.state(s.at), s.last.about()
		if all := state + "  " + about; len(all) < width {
			lines = append(lines, all)
		} else {
			lines = append(lines, state, about)
		}
	}
	if s.last != nil {
		lines = append(append(lines, ""), strings.Split(strings.TrimRight(s.last.body(), "\n"), "\n")...)
	}
	return lines
}

// fit makes lines fit a terminal: if there are too many, empty ones are dropped
// first, and long ones are truncated. The last column stays free: a character
// there would be erased with the rest of its line.
func fit(lines []string, width, height int) []string {
	var out []string
	drop := len(lines) - height
	for _, l := range lines {
		if l == "" && drop > 0 {
			drop--
			continue
		}
		if r := []rune(l); len(r) >= width {
			l = string(r[:width-1])
		}
		out = append(out, l)
	}
	return out[:min(len(out), height)]
}
