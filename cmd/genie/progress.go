package main

import (
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress draws a bar on standard error while bytes move; it draws nothing if
// that is not a terminal.
type progress struct {
	out   *os.File // nil without a terminal
	what  string
	plain bool // the unit is not bytes

	mu    sync.Mutex
	bar   *progressbar.ProgressBar
	total int64
}

func (a *app) progress(what string) *progress {
	p := &progress{what: what}
	if f, ok := a.stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.out = f
	}
	return p
}

// report draws the bar; it is a transport.Progress.
func (p *progress) report(done, total int64) {
	if p.out == nil || total <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil || p.total != total {
		p.total = total
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription(p.what),
			progressbar.OptionShowBytes(!p.plain), progressbar.OptionUseIECUnits(!p.plain),
			progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish())
	}
	_ = p.bar.Set64(done)
	if done >= total {
		_ = p.bar.Finish()
		p.bar = nil
	}
}

// stop removes an unfinished bar from the screen.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}
