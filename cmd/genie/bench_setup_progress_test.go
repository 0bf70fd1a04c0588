package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines/systems"
)

// TestSetupProgress checks the output of a setup with a step of one minute.
func TestSetupProgress(t *testing.T) {
	minute := func(p *setupProgress) {
		now := time.Unix(0, 0)
		p.now, p.printed = func() time.Time { return now }, now
		p.said("group torch: ready")
		for i := range 61 {
			p.step(systems.SetupStep{Name: "llama", Elapsed: time.Duration(i) * time.Second, Last: "  [" + strings.Repeat("7", i) + "] Building ggml.o"})
			now = now.Add(time.Second)
		}
		p.said("group llama: ready")
		p.stop()
	}
	t.Run("log", func(t *testing.T) {
		var out bytes.Buffer
		minute(&setupProgress{lines: &out})
		require.Equal(t, "group torch: ready\n"+
			"  llama: 20s so far: ["+strings.Repeat("7", 20)+"] Building ggml.o\n"+
			"  llama: 40s so far: ["+strings.Repeat("7", 40)+"] Building ggml.o\n"+
			"  llama: 1m0s so far: ["+strings.Repeat("7", 60)+"] Building ggml.o\n"+
			"group llama: ready\n", out.String())
	})
	t.Run("terminal", func(t *testing.T) {
		var out, status bytes.Buffer
		minute(&setupProgress{lines: &out, status: &status, width: func() int { return 30 }})
		require.Equal(t, "group torch: ready\ngroup llama: ready\n", out.String())
		drawn := strings.Split(status.String(), "\r")
		require.Len(t, drawn, 1+61+2)
		require.Equal(t, "  llama: 0s so far: [] Buildi", drawn[1])
		for _, line := range drawn {
			require.LessOrEqual(t, len(line), 29)
		}
		require.Equal(t, []string{strings.Repeat(" ", 29), ""}, drawn[62:])
	})
	t.Run("narrower", func(t *testing.T) {
		var status bytes.Buffer
		p := &setupProgress{status: &status, width: func() int { return 80 }}
		p.step(systems.SetupStep{Name: "llama", Last: "[1/9] Building ggml.o"})
		p.step(systems.SetupStep{Name: "llama"})
		require.Equal(t, "\r  llama: 0s so far: [1/9] Building ggml.o\r  llama: 0s so far"+strings.Repeat(" ", 23), status.String())
	})
	t.Run("json", func(*testing.T) {
		minute(&setupProgress{}) // without any output
	})
	t.Run("closed", func(t *testing.T) {
		p := &setupProgress{lines: closedOutput{}}
		minute(p)
		require.ErrorContains(t, p.err, "standard output")
	})
}

type closedOutput struct{}

func (closedOutput) Write([]byte) (int, error) { return 0, errors.New("closed") }
