package main

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestPin pins the threads of this process to one processor, and to those of before.
func TestPin(t *testing.T) {
	var before unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	var all []int
	for n := range maxCPU + 1 {
		if before.IsSet(n) {
			all = append(all, n)
		}
	}
	defer func() { require.NoError(t, pin(all)) }()
	o := workerOptions{cpus: strconv.Itoa(all[len(all)-1])}
	require.NoError(t, o.pins())
	require.Equal(t, 1, o.threads)
	runtime.Gosched()
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		require.NoError(t, err)
		var set unix.CPUSet
		if unix.SchedGetaffinity(id, &set) == nil { // it may have ended
			require.Equal(t, 1, set.Count(), "thread %d", id)
			require.True(t, set.IsSet(all[len(all)-1]))
		}
	}
	require.Error(t, pin([]int{maxCPU}), "there is no such processor")
}
