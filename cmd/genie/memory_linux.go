package main

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// memory is the total and the available memory, within the container's limit
// (cgroup v2).
func memory() (total, available int64, ok bool) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, false
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "MemTotal:":
			total = kib << 10
		case "MemAvailable:":
			available = kib << 10
		}
	}
	if limit, limited := cgroup("memory.max"); limited && limit < total {
		total = limit
		if used, known := cgroup("memory.current"); known {
			available = min(available, max(limit-used, 0))
		}
	}
	return total, available, total > 0
}

// cgroup reads a number of the container's cgroup; "max" means none.
func cgroup(name string) (int64, bool) {
	text, err := os.ReadFile("/sys/fs/cgroup/" + name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
