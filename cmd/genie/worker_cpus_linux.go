package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pin keeps all threads of the process on some processors. A new thread inherits
// that from the one that starts it, so the threads are listed until there is none
// that was not pinned.
func pin(cpus []int) error {
	var set unix.CPUSet
	for _, n := range cpus {
		set.Set(n)
	}
	done := map[int]bool{}
	for more := true; more; {
		more = false
		list, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("--cpus: %w", err)
		}
		for _, t := range list {
			id, err := strconv.Atoi(t.Name())
			if err != nil || done[id] {
				continue
			}
			err = unix.SchedSetaffinity(id, &set)
			if errors.Is(err, unix.ESRCH) { // it has ended
				continue
			}
			if err != nil {
				return fmt.Errorf("--cpus %v: %w", cpus, err)
			}
			done[id], more = true, true
		}
	}
	return nil
}
