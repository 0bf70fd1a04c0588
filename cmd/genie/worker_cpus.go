package main

import (
	"strconv"
	"strings"
)

// maxCPU bounds the number of a processor.
const maxCPU = 1023

// parseCPUs reads a list of processors such as 0,2-3.
func parseCPUs(text string) (cpus []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, ok := strings.Cut(part, "-")
		if !ok {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || from > to || to > maxCPU {
			return nil, usagef("--cpus is %q, not a list such as 0,2-3", text)
		}
		for n := from; n <= to; n++ {
			cpus = append(cpus, int(n))
		}
	}
	return cpus, nil
}

// pins keeps the process on the processors of --cpus, which are also as many as
// there are compute threads unless --threads says otherwise.
func (o *workerOptions) pins() error {
	if o.cpus == "" {
		return nil
	}
	cpus, err := parseCPUs(o.cpus)
	if err != nil {
		return err
	}
	if err := pin(cpus); err != nil {
		return err
	}
	if o.threads == 0 {
		o.threads = len(cpus)
	}
	return nil
}
