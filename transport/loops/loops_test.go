package loops_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/loops"
	"github.com/genie-sdk/go/transport/plan"
)

// FuzzLoop: a peer's loop is refused with a cause, or stays within its
// declaration: its bindings grow no faster, its inputs keep their size, and it
// ends when its runs are done.
func FuzzLoop(f *testing.F) {
	f.Add([]byte{0, 1, 5, 1, 2, 1, 9, 3, 0}, int64(7), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	f.Add([]byte{1, 0, 255, 200, 4, 1, 2, 9, 9, 9, 200}, int64(-1), []byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, said []byte, most int64, tokens []byte) {
		next := func() int {
			if len(said) == 0 {
				return 0
			}
			b := int(said[0])
			said = said[1:]
			return b
		}
		i32 := plan.Spec{DType: plan.I32, Shape: plan.Shape{plan.Sym("n")}}
		p := &plan.Plan{
			Values:  []plan.Value{{Kind: plan.KindInput, Spec: i32}, {Kind: plan.KindInput, Spec: i32}, {Kind: plan.KindTemp, Spec: i32}},
			Inputs:  []plan.Port{{Name: "a"}, {Name: "b", Value: 1}},
			Outputs: []plan.Output{{Name: "t", Value: 2, Place: plan.Place(1 + next()/250)}},
		}
		l := &transport.Loop{Token: next() / 200, Stop: []int32{int32(next())}}
		for range 2 + next()/250 {
			l.Inputs = append(l.Inputs, transport.LoopInput{Kind: transport.LoopKind(next() % 4), Max: most})
		}
		l.Grow = []int{next() - 10}
		for range next() % 4 {
			l.Limits = append(l.Limits, next()%8*(1+next()/250*transport.MaxLoopRuns))
		}
		bindings := []int{len(l.Limits)}
		inputs := [][]byte{make([]byte, 4*(next()%4)), make([]byte, 4*(next()%4))}
		if err := l.Check(p, bindings); err != nil {
			require.True(t, errors.Is(err, transport.ErrShape) || errors.Is(err, transport.ErrLimit) || errors.Is(err, transport.ErrUnknownInput) || errors.Is(err, transport.ErrDType), "%v", err)
			return
		}
		longest := 0
		for _, n := range l.Limits {
			longest = max(longest, n)
		}
		if longest > 100 {
			return
		}
		sizes := []int{len(inputs[0]), len(inputs[1])}
		state := loops.Start(l, bindings, inputs)
		for run := 1; ; run++ {
			require.LessOrEqual(t, run, longest)
			said := make([]byte, 4*len(l.Limits)+len(tokens)/200)
			copy(said, tokens)
			tokens = tokens[min(len(tokens), 3):]
			before := binary.LittleEndian.AppendUint32(nil, 0)
			copy(before, inputs[0])
			more, err := state.Next(said)
			if err != nil {
				require.ErrorIs(t, err, transport.ErrShape)
				return
			}
			require.Len(t, inputs[0], sizes[0])
			require.Len(t, inputs[1], sizes[1])
			if !more {
				return
			}
			require.Less(t, run, longest)
			require.Equal(t, len(l.Limits)+run*l.Grow[0], state.Bindings[0])
			if l.Inputs[0].Kind == transport.LoopCount && len(inputs[0]) >= 4 {
				was, is := int32(binary.LittleEndian.Uint32(before)), int32(binary.LittleEndian.Uint32(inputs[0]))
				require.True(t, is == was || is == was+1 && int64(is) <= most, "%d became %d, the most is %d", was, is, most)
			}
		}
	})
}
