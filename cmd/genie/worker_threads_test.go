package main

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSpareProcessor verifies that there is one processor more than the engine
// has threads, and that neither threads nor runs become more by it.
func TestSpareProcessor(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for name, tt := range map[string]struct {
		o                       workerOptions
		env                     string
		threads, running, procs int
	}{
		"all":            {workerOptions{}, "", before, before, before + 1},
		"more":           {workerOptions{threads: before + 2}, "", before + 2, before + 2, before + 3},
		"as many":        {workerOptions{threads: before, running: 7}, "", before, 7, before + 1},
		"the operator's": {workerOptions{}, "3", before, before, before},
		"room as it is":  {workerOptions{threads: 1}, "", 1, 1, max(before, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOMAXPROCS", tt.env)
			threads, restore := tt.o.spareProcessor()
			require.Equal(t, tt.procs, runtime.GOMAXPROCS(0))
			restore()
			require.Equal(t, before, runtime.GOMAXPROCS(0))
			require.Equal(t, tt.threads, threads)
			require.Equal(t, tt.running, tt.o.running)
		})
	}
}
