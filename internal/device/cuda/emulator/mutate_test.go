package emulator_test

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// pieces are the words and marks of PTX.
var pieces = regexp.MustCompile(`[A-Za-z0-9_$%.]+|\s+|.`)

// TestMutatedPTX: kernels of which pieces are exchanged for others are refused,
// or end with a result or an error, and never panic.
func TestMutatedPTX(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	rounds := 150
	if testing.Short() {
		rounds = 50
	}
	decoded := 0
	for _, source := range []string{"planted", "matrix"} {
		head, rest, _ := strings.Cut(fixture(t, source), "	// .globl")
		kernels := strings.Split(rest, "	// .globl")
		var words []string
		for _, w := range pieces.FindAllString(rest, -1) {
			if strings.TrimSpace(w) != "" && len(words) < 40_000 {
				words = append(words, w)
			}
		}
		for range rounds {
			k := pieces.FindAllString(kernels[r.IntN(len(kernels))], -1)
			name := ""
			for i, p := range k {
				if p == ".entry" && i+2 < len(k) {
					name = k[i+2]
				}
			}
			for range 1 + r.IntN(3) {
				k[r.IntN(len(k))] = words[r.IntN(len(words))]
			}
			ptx := head + "//" + strings.Join(k, "")
			if emulator.Decode([]byte(ptx)) != nil || name == "" {
				continue
			}
			decoded++
			execute(t, ptx, name)
		}
	}
	require.Greater(t, decoded, rounds/20)
}

// execute launches a kernel on memory that it may use, and fails if the emulator
// panics.
func execute(t *testing.T, ptx, name string) {
	t.Helper()
	m := open(t, emulator.Options{Steps: 1 << 15, Workers: 1})
	x, y := m.put(words(1024)), m.put(make([]byte, 4096))
	mod, err := m.c.Load([]byte(ptx))
	require.NoError(t, err)
	f, err := mod.Function(name)
	if err != nil {
		return
	}
	for _, a := range [][]byte{args(uint64(x), uint64(y), 7), args(uint64(x), uint64(x), uint64(y), dims(64, 64), dims(16, 0))} {
		err := errors.Join(m.s.Launch(f, line(2), line(64), 0, a), m.s.Synchronize())
		var e *driver.Error
		if errors.As(err, &e) && strings.Contains(e.Detail, "panicked") {
			t.Fatalf("%v\n%s", e, ptx)
		}
	}
}
