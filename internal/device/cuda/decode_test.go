package cuda_test

import (
	"context"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// decoder runs GPT-2's decode plan, or its prefill plan, directly on an engine.
type decoder struct {
	e     *engine.Engine
	model *gpt2.Model
	sch   *semantic.Schedule
	prog  *engine.Program
}

func newDecoder(t testing.TB, folder string, phase semantic.Phase, e *engine.Engine, logits bool) *decoder {
	t.Helper()
	m, err := gpt2.Load(context.Background(), "../../../testdata/gpt2/"+folder, gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	d := &decoder{e: e, model: m}
	outputs := []lazy.Named{{Name: "next", Tensor: m.LM.Next}}
	if logits {
		outputs = append(outputs, lazy.Named{Name: "logits", Tensor: m.LM.Logits})
	}
	srg, err := semantic.Analyze(m.LM.Graph)
	require.NoError(t, err)
	d.sch, err = semantic.Full().Schedule(srg, semantic.Request{
		Profile: semantic.Profile{Phase: phase},
		Outputs: outputs,
	})
	require.NoError(t, err)
	d.prog, err = e.Compile(d.sch.Plan)
	require.NoError(t, err)
	for _, v := range e.Missing(d.prog) {
		w, err := m.LM.Graph.Weight(v.Hash)
		require.NoError(t, err)
		ww, err := e.PutWeight(d.prog, v)
		require.NoError(t, err)
		_, err = ww.Write(w.Data)
		require.NoError(t, err)
		require.NoError(t, ww.Commit())
	}
	return d
}

// inputs is memory for the inputs of steps of up to n tokens.
func (d *decoder) inputs(n int) [][]byte {
	in := make([][]byte, len(d.sch.Inputs))
	for i := range in {
		in[i] = make([]byte, 8*n)
	}
	return in
}

// feed sets the inputs for tokens at position past on, and returns the sizes in
// the order of the symbols. It allocates nothing.
func (d *decoder) feed(in [][]byte, tokens []int, past int) (sizes [3]int, n int) {
	for i, sym := range d.prog.Symbols() {
		switch sizes[i] = 1; sym {
		case "past":
			sizes[i] = past
		case "seq":
			sizes[i] = len(tokens)
		}
	}
	for i, src := range d.sch.Inputs {
		switch {
		case src.Tensor == d.model.LM.Tokens:
			for k, x := range tokens {
				binary.LittleEndian.PutUint32(in[i][4*k:], uint32(x))
			}
		case src.Tensor == d.model.LM.Positions:
			for k := range tokens {
				binary.LittleEndian.PutUint32(in[i][4*k:], uint32(past+k))
			}
		case src.Tensor.Name() == "sampling.top_p":
			binary.LittleEndian.PutUint32(in[i], math.Float32bits(1))
		}
	}
	return sizes, len(d.prog.Symbols())
}

// step runs one call with tokens at position past on, and calls read, which may be
// nil, with its outputs.
func (d *decoder) step(s *engine.Session, in [][]byte, tokens []int, past int, read func(c *engine.Call)) error {
	sizes, n := d.feed(in, tokens, past)
	c, err := s.NewCall(d.prog, sizes[:n])
	if err != nil {
		return err
	}
	defer c.Release()
	for i := range in {
		if err := c.SetInput(i, in[i][:c.InputSize(i)]); err != nil {
			return err
		}
	}
	if err := c.Run(context.Background()); err != nil {
		return err
	}
	if read != nil {
		read(c)
	}
	return nil
}

// logits are those of each token, when the session gets so many at a time.
func (d *decoder) logits(t *testing.T, s *engine.Session, tokens []int, at ...int) (out []string) {
	t.Helper()
	in, past := d.inputs(len(tokens)), 0
	for _, n := range at {
		require.NoError(t, d.step(s, in, tokens[past:past+n], past, func(c *engine.Call) {
			got, _ := c.Output(1)
			out = append(out, rowsOf(got.Data, n)...)
		}))
		past += n
	}
	return out
}

// rowsOf cuts a value into n rows.
func rowsOf(b []byte, n int) (rows []string) {
	for i := range n {
		rows = append(rows, string(b[i*len(b)/n:(i+1)*len(b)/n]))
	}
	return rows
}
