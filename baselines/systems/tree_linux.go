package systems

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processes are the numbers of all processes.
func processes() []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// parentOf is a process's parent, 0 if it has ended.
func parentOf(pid int) int {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	// pid (command) state parent …, where the command may be any text.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// descendants are the processes below one.
func descendants(pid int) []int {
	children := map[int][]int{}
	for _, p := range processes() {
		if parent := parentOf(p); parent > 0 {
			children[parent] = append(children[parent], p)
		}
	}
	found := []int{pid}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found[1:]
}

// killMarked ends the processes that have a variable in their environment,
// until none remain: those that left their group and lost their parent.
func killMarked(variable string) {
	const patience = 10 * time.Second
	for until := time.Now().Add(patience); time.Now().Before(until); {
		marked := withVariable(variable)
		if len(marked) == 0 {
			return
		}
		for _, pid := range marked {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func withVariable(variable string) []int {
	want := append([]byte(variable), 0)
	var pids []int
	for _, pid := range processes() {
		environment, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		if err == nil && bytes.Contains(environment, want) && parentOf(pid) > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}
