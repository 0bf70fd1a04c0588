package kernels

import (
	"fmt"
	"os"
)

// EnvCPU names the environment variable that forces a code path: "generic",
// "avx2" or "avx512".
const EnvCPU = "GENIE_CPU"

type codePath uint8

const (
	pathGeneric codePath = iota
	pathAVX2
	pathAVX512
)

var pathNames = [...]string{pathGeneric: "generic", pathAVX2: "avx2", pathAVX512: "avx512"}

// active is written only while the package initialises (and by its own tests).
var active, activeErr = choosePath(os.Getenv(EnvCPU))

// Path returns the active code path: "generic", "avx2" or "avx512". It is the
// best one that the CPU and the operating system support, unless [EnvCPU] names
// another.
func Path() string { return pathNames[active] }

// PathErr reports that [EnvCPU] holds an unknown path or one that this CPU does
// not support. The best supported path is then active.
func PathErr() error { return activeErr }

func choosePath(forced string) (codePath, error) {
	best := bestPath()
	if forced == "" {
		return best, nil
	}
	for p, name := range pathNames {
		if name != forced {
			continue
		}
		if codePath(p) > best {
			return best, fmt.Errorf("kernels: %s=%s is not supported here, using %s", EnvCPU, forced, pathNames[best])
		}
		return codePath(p), nil
	}
	return best, fmt.Errorf("kernels: unknown %s=%q (want generic, avx2 or avx512), using %s", EnvCPU, forced, pathNames[best])
}
