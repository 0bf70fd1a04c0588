package worker_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// logged is a log that can be read while several goroutines write it.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// read decodes the lines of a log in JSON.
func (l *logged) read(t *testing.T) (out []map[string]any) {
	for d := json.NewDecoder(bytes.NewReader([]byte(l.String()))); d.More(); {
		var line map[string]any
		require.NoError(t, d.Decode(&line))
		out = append(out, line)
	}
	return out
}
