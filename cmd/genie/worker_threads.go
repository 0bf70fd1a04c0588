package main

import (
	"os"
	"runtime"
)

// spareProcessor lets the goroutines that receive, admit and send run while all
// of the engine's threads compute: the runtime would otherwise have no processor
// for them until it interrupts one of those, which takes 10 ms. Runs and threads
// stay as many as they were. A GOMAXPROCS of the operator's stays, too. It gives
// the number of threads, and what takes it all back.
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
