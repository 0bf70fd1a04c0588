package main

import (
	"os"
	"runtime"
)

// spareProcessor lets the goroutines that receive, admit and send run while all
// of the engine's threads compute. Otherwise the runtime would have no
// processor for them until it preempts a thread, which takes 10 ms. The number
// of runs and threads does not change, and a GOMAXPROCS set by the operator
// stays. It returns the number of threads, and a function that undoes the
// change.
func (o *workerOptions) spareProcessor() (threads int, restore func()) {
	before := runtime.GOMAXPROCS(0)
	if threads = o.threads; threads == 0 {
		threads = before
	}
	if o.running == 0 {
		o.running = threads
	}
	if os.Getenv("GOMAXPROCS") != "" || before > threads {
		return threads, func() {}
	}
	runtime.GOMAXPROCS(threads + 1)
	return threads, func() { runtime.GOMAXPROCS(before) }
}
