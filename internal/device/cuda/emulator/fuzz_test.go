package emulator_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// refused is PTX with a fault, and what the error says of it.
var refused = []struct{ name, ptx, want string }{
	{"empty", "", "there is no .version"},
	{"words", "hello", `line 1: directive "hello" is unknown`},
	{"instruction", entryOf("add.s32 %r1, %r1, %r2;\nfrobnicate.b32 %r1, %r2;"), "function k: line 9: frobnicate.b32: the instruction is unknown"},
	{"form", entryOf("add.frob.f16x3 %r1, %r1, %r2;"), "line 8: add.frob.f16x3"},
	{"modifier", entryOf("cvt.rn.satfinite.e4m3x2.f32 %r1, %r2, %r3;"), "line 8: cvt.rn.satfinite.e4m3x2.f32"},
	{"register", entryOf("add.s32 %r1, %r9, %r2;"), `"%r9" is no register`},
	{"width", entryOf("add.s32 %r1, %rd1, %r2;"), "register %rd1 does not hold 4 bytes"},
	{"operands", entryOf("add.s32 %r1, %r2;"), "it has 2 operands"},
	{"label", entryOf("bra nowhere;"), `there is no label "nowhere"`},
	{"guard", entryOf("@%r1 bra nowhere;"), "does not hold"},
	{"number", entryOf("mov.b32 %r1, 0f12;"), `"0f12" is no number`},
	{"address", entryOf("ld.global.u32 %r1, %rd1;"), "the operand is no address"},
	{"call", entryOf("call.uni nobody, ();"), `there is no function "nobody"`},
	{"recursion", entryOf("call.uni f, ();") + "\n.func f()\n{\ncall.uni f, ();\n}\n", "calls are nested more than 16 deep"},
	{"float atomics", entryOf("atom.global.add.f32 %r1, [%rd1], %r2;"), "this form of the instruction is unknown"},
	{"parameters", entryOf("st.param.b32 [p], %r1;"), "it stores to a parameter of a kernel"},
	{"shared memory", entryOf(".shared .b8 s[2000000];"), "more than 262144 bytes"},
	{"registers", entryOf(".reg .b32 %q<2000000>;"), "the number of registers is out of range"},
	{"open", ".version 8.8\n.address_size 64\n.entry k()\n{", "function k has no end"},
	{"32 bits", ".version 8.8\n.address_size 32\n", "the size of addresses is not 64"},
	{"twice", entryOf("ret;") + entryOf("ret;"), "function k is declared twice"},
}

// entryOf is a module of one kernel.
func entryOf(body string) string {
	return ".version 8.8\n.target sm_80\n.address_size 64\n.visible .entry k(.param .align 8 .b8 p[8])\n{\n.reg .pred %p<3>; .reg .b32 %r<4>; .reg .b64 %rd<4>;\n\n" + body + "\n}\n"
}

// TestRefusedPTX: what the emulator does not know is an error that names the
// line and the instruction, never a wrong result.
func TestRefusedPTX(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			require.ErrorContains(t, emulator.Decode([]byte(c.ptx)), c.want)
		})
	}
	m := open(t, emulator.Options{})
	_, err := m.c.Load([]byte("\x7fELF"))
	named(t, err, emulator.InvalidImage)
	_, err = m.c.Load([]byte("hello"))
	named(t, err, emulator.InvalidPTX)
	f := m.function(refused[2].ptx, "k")
	detail := named(t, m.s.Launch(f, line(1), line(1), 0, args(0)), emulator.InvalidPTX)
	require.Contains(t, detail, refused[2].want)
	mod, err := m.c.Load([]byte(refused[2].ptx))
	require.NoError(t, err)
	_, err = mod.Function("other")
	named(t, err, emulator.NotFound)
}

// FuzzPTX: no PTX makes the emulator panic, as it decodes or executes it.
func FuzzPTX(f *testing.F) {
	for _, c := range refused {
		f.Add(c.ptx)
	}
	for _, name := range []string{"planted", "matrix"} {
		text := fixture(f, name)
		head, kernels, _ := strings.Cut(text, "	// .globl")
		for k := range strings.SplitSeq(kernels, "	// .globl") {
			if len(k) < 4000 {
				f.Add(head + "//" + k)
			}
		}
	}
	f.Fuzz(func(t *testing.T, ptx string) {
		if emulator.Decode([]byte(ptx)) != nil {
			return
		}
		d := emulator.New(emulator.Options{Steps: 1 << 15, Workers: 1})
		c, err := d.Open(0)
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		mod, err := c.Load([]byte(ptx))
		if err != nil {
			return // its variables take too much memory
		}
		s, err := c.NewStream()
		require.NoError(t, err)
		for _, name := range []string{"k", "tile", "off_by_one", "missing_wait", "mma_bf16"} {
			fn, err := mod.Function(name)
			if err != nil {
				continue
			}
			for _, n := range []int{8, 24, 40} {
				err := errors.Join(s.Launch(fn, line(1), line(40), 0, make([]byte, n)), s.Synchronize())
				var e *driver.Error
				if errors.As(err, &e) && strings.Contains(e.Detail, "panicked") {
					t.Fatal(e)
				}
			}
		}
	})
}
