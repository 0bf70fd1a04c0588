package emulator_test

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// TestWarpInstructions compares instructions over the lanes of a warp with their
// definitions.
func TestWarpInstructions(t *testing.T) {
	const warp, n = 32, 96
	r := rand.New(rand.NewPCG(11, 12))
	a := make([]uint64, n)
	for i := range a {
		a[i] = r.Uint64N(7)
	}
	m := open(t, emulator.Options{})
	for _, c := range []struct {
		name, body string
		want       func(lanes []uint64, i int) uint64 // of lane i of a warp with these operands
	}{
		{"bfly", "shfl.sync.bfly.b32 %d|%p1, %a, 5, 31, -1;", func(l []uint64, i int) uint64 { return l[i^5] }},
		{"up", "shfl.sync.up.b32 %d|%p1, %a, 3, 0, -1;", func(l []uint64, i int) uint64 {
			if i < 3 {
				return l[i]
			}
			return l[i-3]
		}},
		{"down", "shfl.sync.down.b32 %d|%p1, %a, 4, 31, -1; @!%p1 mov.u32 %d, 99;", func(l []uint64, i int) uint64 {
			if i+4 > 31 {
				return 99
			}
			return l[i+4]
		}},
		{"idx of a segment", "shfl.sync.idx.b32 %d, %a, 2, 0x181f, -1;", func(l []uint64, i int) uint64 { return l[i&^7|2] }},
		{"ballot", "setp.gt.u32 %p1, %a, 3; vote.sync.ballot.b32 %d, %p1, -1;", func(l []uint64, _ int) uint64 {
			x := uint64(0)
			for j, v := range l {
				x |= truth(v > 3) << j
			}
			return x
		}},
		{"any and all", "setp.gt.u32 %p1, %a, 5; vote.sync.any.pred %p2, %p1, -1; vote.sync.all.pred %p3, !%p1, -1; selp.b32 %r2, 1, 0, %p2; selp.b32 %r3, 2, 0, %p3; add.s32 %d, %r2, %r3;", func(l []uint64, _ int) uint64 {
			for _, v := range l {
				if v > 5 {
					return 1
				}
			}
			return 2
		}},
		{"match", "match.any.sync.b32 %d, %a, -1;", func(l []uint64, i int) uint64 {
			x := uint64(0)
			for j, v := range l {
				x |= truth(v == l[i]) << j
			}
			return x
		}},
		{"redux", "redux.sync.max.u32 %r2, %a, -1; redux.sync.add.s32 %r3, %a, -1; mad.lo.u32 %d, %r3, 100, %r2;", func(l []uint64, _ int) uint64 {
			most, sum := uint64(0), uint64(0)
			for _, v := range l {
				most, sum = max(most, v), sum+v
			}
			return sum*100 + most
		}},
		{"activemask", "setp.gt.u32 %p1, %a, 3; mov.u32 %d, 0; @!%p1 bra done; activemask.b32 %d; done:", func(l []uint64, i int) uint64 {
			x := uint64(0)
			for j, v := range l {
				x |= truth(v > 3) << j
			}
			return x * truth(l[i] > 3)
		}},
		{"masks", "mov.u32 %r2, %lanemask_lt; mov.u32 %r3, %lanemask_ge; mov.u32 %r4, %laneid; popc.b32 %r5, %r2; mad.lo.u32 %r6, %r5, 100, %r4; popc.b32 %r3, %r3; mad.lo.u32 %d, %r3, 10000, %r6;", func(_ []uint64, i int) uint64 {
			return uint64(i + 100*bits.OnesCount32(1<<i-1) + 10000*(32-i))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := m.apply(c.body, d1, a)
			for i := range got {
				lanes := a[i/warp*warp : i/warp*warp+warp]
				require.Equal(t, c.want(lanes, i%warp), got[i], i)
			}
		})
	}
}

// TestUnwrittenRegisters: a register that was never written may be moved, as
// compilers do, and not used. A load of which some bytes are not used may read
// what is unwritten there.
func TestUnwrittenRegisters(t *testing.T) {
	for _, c := range []struct {
		name, body string
		fails      bool
	}{
		{"used", "add.s32 %d, %a, %r7;", true},
		{"moved and used", "mov.b32 %r6, %r7; add.s32 %d, %a, %r6;", true},
		{"moved", "mov.b32 %r6, %r7; mov.b32 %d, %a;", false},
		{"selected and used", "setp.lt.u32 %p1, %a, 1000; selp.b32 %r6, %r7, %a, %p1; add.s32 %d, %a, %r6;", true},
		{"not selected", "setp.lt.u32 %p1, %a, 1000; selp.b32 %r6, %a, %r7, %p1; add.s32 %d, %a, %r6;", false},
		{"written in one branch", "setp.lt.u32 %p1, %a, 3; @%p1 bra skip; mov.u32 %r6, 1; skip: add.s32 %d, %a, %r6;", true},
		{"written in both", "setp.lt.u32 %p1, %a, 3; @%p1 bra other; mov.u32 %r6, 1; bra join; other: mov.u32 %r6, 2; join: add.s32 %d, %a, %r6;", false},
		{"guards", "setp.lt.u32 %p1, %a, 3; @%p1 mov.u32 %r6, 1; @!%p1 mov.u32 %r6, 2; add.s32 %d, %a, %r6;", false},
		// Lane 16 reads lane 0, which is elsewhere.
		{"a lane that is not there", "setp.lt.u32 %p1, %r1, 3; mov.u32 %d, 1; @%p1 bra end; shfl.sync.bfly.b32 %r6, %a, 16, 31, 0xfffffff8; add.s32 %d, %a, %r6; end:", true},
		{"unwritten shared memory", ".shared .align 8 .b8 s[64]; st.shared.u32 [s], 5; bar.sync 0; ld.shared.v2.u32 {%d, %r6}, [s];", true},
		{"unused bytes", ".shared .align 8 .b8 s[64]; st.shared.u32 [s], 5; bar.sync 0; .pragma \"used_bytes_mask 15\"; ld.shared.v2.u32 {%d, %r6}, [s];", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := open(t, emulator.Options{})
			a := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
			memory := []uint64{uint64(m.alloc(4 * len(a))), uint64(m.put(words32(a)))}
			f := m.function(operation(c.body, d1...), "k")
			require.NoError(t, m.s.Launch(f, line(1), line(len(a)), 0, args(memory...)))
			err := m.s.Synchronize()
			if !c.fails {
				require.NoError(t, err)
				return
			}
			named(t, err, emulator.UnwrittenRead)
		})
	}
}

// words32 are numbers in memory, of 32 bits.
func words32(xs []uint64) []byte {
	var b []byte
	for _, x := range xs {
		b = binary.LittleEndian.AppendUint32(b, uint32(x))
	}
	return b
}

// TestNamedBarriers: barriers of some warps, by number and count.
func TestNamedBarriers(t *testing.T) {
	m := open(t, emulator.Options{})
	// Warps 0 and 1 meet at barrier 1, warps 2 and 3 at barrier 2.
	body := ".shared .align 4 .b8 s[512]; shr.u32 %r2, %r1, 6; add.s32 %r2, %r2, 1; mul.wide.u32 %rd9, %r1, 4; mov.u64 %rd10, s; add.s64 %rd9, %rd10, %rd9; " +
		"st.shared.u32 [%rd9], %a; bar.sync %r2, 64; xor.b32 %r3, %r1, 63; mul.wide.u32 %rd9, %r3, 4; add.s64 %rd9, %rd10, %rd9; ld.shared.u32 %d, [%rd9];"
	a := make([]uint64, 128)
	for i := range a {
		a[i] = uint64(3*i + 1)
	}
	for i, got := range m.apply(body, d1, a) {
		require.Equal(t, a[i^63], got)
	}
	// A barrier for more threads than there are.
	f := m.function(entryOf("bar.sync 1, 96;"), "k")
	require.NoError(t, m.s.Launch(f, line(1), line(64), 0, args(0)))
	named(t, m.s.Synchronize(), emulator.BarrierDivergence)
}
