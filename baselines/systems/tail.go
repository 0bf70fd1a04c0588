package systems

import (
	"bytes"
	"strings"
	"sync"
)

const tailBytes = 8 << 10

// tail retains the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-tailBytes):]...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// lines are the last n lines, without text that a carriage return overwrote.
func (t *tail) lines(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := bytes.Split(bytes.TrimSpace(t.buf), []byte("\n"))
	all = all[max(0, len(all)-n):]
	var s []string
	for _, l := range all {
		if i := bytes.LastIndexByte(bytes.TrimRight(l, "\r"), '\r'); i >= 0 {
			l = l[i+1:]
		}
		if l = bytes.TrimSpace(l); len(l) > 0 {
			s = append(s, plain(string(l)))
		}
	}
	return strings.Join(s, "\n\t")
}
