package onnx_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	. "github.com/genie-sdk/go/internal/onnxfile/onnxtest"
)

// TestEinsum compares with the definition: a sum over all values of all labels.
func TestEinsum(t *testing.T) {
	sizes := map[rune]int{'a': 2, 'b': 3, 'c': 4, 'd': 2, 'h': 5, 'k': 1, 'N': 3}
	for _, equation := range []string{
		"ab,bc->ac", "ab,bc", "abc,acd->abd", "bahd,bchd->bhac", "ab->ba", "ab->a", "ab->", "aa->a", "aa", "aab->ab", "abab->ab",
		"a,b->ab", "ab,ab->ab", "ab,ab->", "ab,bc,cd->ad", "abc,abc,ab->c", "ab , b -> a", "a,a->a", "ab,k->abk", "N,aN->a",
	} {
		t.Run(equation, func(t *testing.T) {
			left, out, explicit := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
			inputs := strings.Split(left, ",")
			if !explicit {
				out = once(left)
			}
			fields := []Field{Output("y", float)}
			feed := genie.Feed{}
			var names []string
			data := make([][]float32, len(inputs))
			for i, labels := range inputs {
				name := fmt.Sprint("x", i)
				var dims []any
				var shape []int
				n := 1
				for _, l := range labels {
					dims, shape, n = append(dims, sizes[l]), append(shape, sizes[l]), n*sizes[l]
				}
				for k := range n {
					data[i] = append(data[i], float32((k*7+i*3)%11)-5)
				}
				feed[name] = genie.Float32s(data[i], shape...)
				names, fields = append(names, name), append(fields, Input(name, float, dims...))
			}
			fields = append(fields, Node("Einsum", names, list("y"), AttrText("equation", equation)))
			got, _ := run(t, read(t, Model(17, fields...)), feed)
			require.InDeltaSlice(t, naive(inputs, data, out, sizes), got, 1e-4)
		})
	}
}

func TestEinsumEllipsis(t *testing.T) {
	m := Model(17, Input("a", float, 2, 3, 4), Input("b", float, 4, 2), Output("y", float), Node("Einsum", list("a", "b"), list("y"), AttrText("equation", "...ij,jk->...ik")))
	ones := func(n int) []float32 { return slices.Repeat([]float32{1}, n) }
	v, shape := run(t, read(t, m), genie.Feed{"a": genie.Float32s(ones(24), 2, 3, 4), "b": genie.Float32s(ones(8), 4, 2)})
	require.Equal(t, []int{2, 3, 2}, shape)
	require.Equal(t, slices.Repeat([]float32{4}, 12), v)
}

// once are the labels that occur once, in order, which the result has if the
// equation does not say.
func once(left string) string {
	var out []rune
	for l := 'A'; l <= 'z'; l++ {
		if strings.Count(left, string(l)) == 1 {
			out = append(out, l)
		}
	}
	return string(out)
}

func naive(inputs []string, data [][]float32, out string, sizes map[rune]int) []float32 {
	var labels []rune
	for _, l := range strings.Join(inputs, "") {
		if !slices.Contains(labels, l) {
			labels = append(labels, l)
		}
	}
	at := map[rune]int{}
	index := func(term string) int {
		i := 0
		for _, l := range term {
			i = i*sizes[l] + at[l]
		}
		return i
	}
	n := 1
	for _, l := range out {
		n *= sizes[l]
	}
	sum := make([]float32, n)
	var walk func(rest []rune)
	walk = func(rest []rune) {
		if len(rest) > 0 {
			for v := range sizes[rest[0]] {
				at[rest[0]] = v
				walk(rest[1:])
			}
			return
		}
		p := float32(1)
		for i, term := range inputs {
			p *= data[i][index(term)]
		}
		sum[index(out)] += p
	}
	walk(labels)
	return sum
}
