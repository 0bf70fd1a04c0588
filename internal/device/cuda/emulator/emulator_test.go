package emulator_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

func TestMain(m *testing.M) {
	benchname.Declare(os.Stdout, "instructions/s better=higher")
	goleak.VerifyTestMain(m)
}

// machine is a context of an emulated device with one stream.
type machine struct {
	t testing.TB
	d *emulator.Driver
	c driver.Context
	s driver.Stream
}

func open(t testing.TB, o emulator.Options) *machine {
	t.Helper()
	d := emulator.New(o)
	return reopen(t, d)
}

func reopen(t testing.TB, d *emulator.Driver) *machine {
	t.Helper()
	c, err := d.Open(0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	s, err := c.NewStream()
	require.NoError(t, err)
	return &machine{t, d, c, s}
}

// alloc allocates n bytes.
func (m *machine) alloc(n int) driver.Ptr {
	m.t.Helper()
	p, err := m.c.Alloc(int64(n))
	require.NoError(m.t, err)
	return p
}

// put allocates memory that holds b.
func (m *machine) put(b []byte) driver.Ptr {
	m.t.Helper()
	p := m.alloc(len(b))
	require.NoError(m.t, m.s.CopyIn(p, b))
	require.NoError(m.t, m.s.Synchronize())
	return p
}

// get copies n bytes to the host.
func (m *machine) get(p driver.Ptr, n int) []byte {
	m.t.Helper()
	b := make([]byte, n)
	require.NoError(m.t, m.s.CopyOut(b, p))
	require.NoError(m.t, m.s.Synchronize())
	return b
}

// function loads PTX and finds a kernel of it.
func (m *machine) function(ptx, name string) driver.Function {
	m.t.Helper()
	mod, err := m.c.Load([]byte(ptx))
	require.NoError(m.t, err)
	f, err := mod.Function(name)
	require.NoError(m.t, err)
	return f
}

// args is a parameter struct of 64-bit words.
func args(words ...uint64) []byte {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

func line(n int) driver.Dim { return driver.Dim{X: n, Y: 1, Z: 1} }

// fixture is the PTX of a .cu file in testdata.
func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".ptx")
	require.NoError(t, err)
	return string(b)
}

// operation is PTX that applies an instruction, of operands a, b and c of the
// given types, to each element of three arrays. types are those of the result
// and the operands.
func operation(body string, types ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".version 8.8\n.target sm_80\n.address_size 64\n.visible .entry k(.param .align 8 .b8 p[%d])\n{\n.reg .pred %%p<8>;\n.reg .b32 %%r<8>;\n.reg .b64 %%rd<16>;\n", 8*len(types))
	names := []string{"d", "a", "b", "c", "e"}
	for i, t := range types {
		fmt.Fprintf(&b, ".reg .%s %%%s;\n", t, names[i])
	}
	b.WriteString("mov.u32 %r1, %tid.x;\n")
	for i, t := range types {
		fmt.Fprintf(&b, "ld.param.u64 %%rd1, [p+%d];\nmad.wide.u32 %%rd%d, %%r1, %d, %%rd1;\n", 8*i, 2+i, width(t))
		if i > 0 {
			fmt.Fprintf(&b, "ld.global.%s %%%s, [%%rd%d];\n", bitsOf(t), names[i], 2+i)
		}
	}
	fmt.Fprintf(&b, "%s\nst.global.%s [%%rd2], %%d;\nret;\n}\n", body, bitsOf(types[0]))
	return b.String()
}

func bitsOf(t string) string { return fmt.Sprintf("b%d", 8*width(t)) }

func width(t string) int {
	switch {
	case strings.HasSuffix(t, "16"):
		return 2
	case strings.HasSuffix(t, "32"):
		return 4
	}
	return 8
}

// apply executes an operation on columns of operands, each an element's bits.
func (m *machine) apply(body string, types []string, columns ...[]uint64) []uint64 {
	m.t.Helper()
	n := len(columns[0])
	words := []uint64{uint64(m.alloc(n * width(types[0])))}
	for i, c := range columns {
		w := width(types[i+1])
		b := make([]byte, 0, n*w)
		for _, x := range c {
			b = append(b, binary.LittleEndian.AppendUint64(nil, x)[:w]...)
		}
		words = append(words, uint64(m.put(b)))
	}
	f := m.function(operation(body, types...), "k")
	require.NoError(m.t, m.s.Launch(f, line(1), line(n), 0, args(words...)))
	w := width(types[0])
	out := m.get(driver.Ptr(words[0]), n*w)
	result := make([]uint64, n)
	for i := range result {
		result[i] = binary.LittleEndian.Uint64(append(append([]byte{}, out[i*w:(i+1)*w]...), make([]byte, 8)...))
	}
	for _, p := range words {
		require.NoError(m.t, m.c.Free(driver.Ptr(p)))
	}
	return result
}
