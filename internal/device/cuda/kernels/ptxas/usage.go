// Package ptxas reads the report of NVIDIA's assembler about what a kernel uses, and
// holds it to a file of bounds.
package ptxas

import (
	"bufio"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Usage is what a function uses in the machine code for a target, such as sm_80.
type Usage struct {
	Function, Target string
	Registers        int // of a thread; 0 of a function that kernels call
	Stack            int // bytes of a thread
	Spill            int // bytes of a thread that are stored and loaded for want of registers
	Shared           int // bytes of a block, without dynamic shared memory
}

var (
	entryLine = regexp.MustCompile(`^ptxas info\s+: Compiling entry function '([^']+)' for '([^']+)'`)
	function  = regexp.MustCompile(`^ptxas info\s+: Function properties for (\S+)`)
	stackLine = regexp.MustCompile(`^\s*(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads`)
	usedLine  = regexp.MustCompile(`^ptxas info\s+: Used (\d+) registers(.*)`)
	sharedIn  = regexp.MustCompile(`(\d+) bytes smem`)
)

// Parse reads what `ptxas -v` reports of one file and target. Lines that say
// nothing about a function are passed over.
func Parse(report, target string) ([]Usage, error) {
	var all []Usage
	var entry string // the kernel whose registers come next
	for lines := bufio.NewScanner(strings.NewReader(report)); lines.Scan(); {
		line := lines.Text()
		if m := entryLine.FindStringSubmatch(line); m != nil {
			if m[2] != target {
				return nil, fmt.Errorf("ptxas: a report for %s, not %s: %q", m[2], target, line)
			}
			entry = m[1]
		} else if m := function.FindStringSubmatch(line); m != nil {
			all = append(all, Usage{Function: m[1], Target: target})
		} else if m := stackLine.FindStringSubmatch(line); m != nil {
			if len(all) == 0 {
				return nil, fmt.Errorf("ptxas: a stack frame of no function: %q", line)
			}
			u := &all[len(all)-1]
			u.Stack, u.Spill = number(m[1]), number(m[2])+number(m[3])
		} else if m := usedLine.FindStringSubmatch(line); m != nil {
			if len(all) == 0 || all[len(all)-1].Function != entry {
				return nil, fmt.Errorf("ptxas: registers of no kernel: %q", line)
			}
			u := &all[len(all)-1]
			u.Registers = number(m[1])
			if s := sharedIn.FindStringSubmatch(m[2]); s != nil {
				u.Shared = number(s[1])
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("ptxas: no function in the report %q", report)
	}
	return all, nil
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // digits, by the expression
	return n
}
