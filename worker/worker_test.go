package worker_test

import (
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// same is the shape rule of operators that keep the shape.
func same(_ plan.Attrs, in []plan.Spec) (plan.Spec, error) { return in[0], nil }

var errOdd = errors.New("an odd number")

// operators are those of the tests: some are faulty.
func operators() []custom.Operator {
	each := func(f func(x float32) float32) func(c custom.Call) error {
		return func(c custom.Call) error {
			x, y := c.In[0].Float32s(), c.Out.Float32s()
			for i := range y {
				y[i] = f(x[i])
			}
			return nil
		}
	}
	return []custom.Operator{
		{Name: "times", Infer: same, Eval: func(c custom.Call) error {
			k := float32(c.Attrs[0].Int)
			return each(func(x float32) float32 { return k * x })(c)
		}},
		{Name: "halves", Infer: func(_ plan.Attrs, in []plan.Spec) (plan.Spec, error) {
			return plan.Spec{DType: plan.F32, Shape: plan.Shape{in[0].Shape[0].FloorDiv(2)}}, nil
		}, Eval: func(c custom.Call) error {
			x, y := c.In[0].Float32s(), c.Out.Float32s()
			for i := range y {
				y[i] = x[2*i] + x[2*i+1]
			}
			return nil
		}},
		{Name: "panics", Infer: same, Eval: func(c custom.Call) error { return each(func(float32) float32 { return c.In[9].Float32s()[0] })(c) }},
		{Name: "overruns", Infer: same, Eval: func(c custom.Call) error {
			y := c.Out.Float32s()
			y[:cap(y)+1][0] = 1
			return nil
		}},
		{Name: "fails", Infer: same, Eval: func(custom.Call) error { return errOdd }},
		{Name: "mistakes", Infer: same, Eval: func(c custom.Call) error { c.Out.Int64s()[0] = 1; return nil }},
		{Name: "no_shape", Infer: func(plan.Attrs, []plan.Spec) (plan.Spec, error) { panic("no shape") }, Eval: each(nil)},
		{Name: "far", Infer: func(plan.Attrs, []plan.Spec) (plan.Spec, error) {
			return plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(-1)}}, nil
		}, Eval: each(nil)},
		{Name: "unbound", Infer: func(plan.Attrs, []plan.Spec) (plan.Spec, error) {
			return plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("elsewhere")}}, nil
		}, Eval: each(nil)},
		{Name: "half", Infer: func(_ plan.Attrs, in []plan.Spec) (plan.Spec, error) {
			return plan.Spec{DType: plan.F16, Shape: in[0].Shape}, nil
		}, Eval: each(nil)},
	}
}

func find(t *testing.T, name string) custom.Operator {
	for _, o := range operators() {
		if o.Name == name {
			return o
		}
	}
	require.Fail(t, name)
	return custom.Operator{}
}

// start serves a worker with some operators.
func start(t *testing.T, table *custom.Table) (tcp, grpc string) {
	w, err := worker.Open(worker.Options{Operators: table, Threads: 2})
	require.NoError(t, err)
	var serving sync.WaitGroup
	listen := func(serve func(net.Listener) error) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		serving.Go(func() { require.NoError(t, serve(l)) })
		return l.Addr().String()
	}
	tcp, grpc = "tcp://"+listen(w.ServeTCP), "grpc://"+listen(w.ServeGRPC)
	t.Cleanup(func() {
		require.NoError(t, w.Close())
		serving.Wait()
	})
	return tcp, grpc
}

// sessions are on an executor in this process and on workers, with a table.
func sessions(t *testing.T, table *custom.Table) map[string]*genie.Session {
	out := map[string]*genie.Session{}
	add := func(name string, c *genie.Client) {
		s, err := c.NewSession(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()); require.NoError(t, c.Close()) })
		out[name] = s
	}
	tcp, grpc := start(t, table)
	for _, url := range []string{tcp, grpc} {
		c, err := genie.Open(t.Context(), url)
		require.NoError(t, err)
		add(url[:4], c)
	}
	here, err := local.Open(local.WithOperators(table))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, here.Close()) })
	add("local", genie.NewClient(here))
	return out
}

func TestOperators(t *testing.T) {
	table, err := custom.NewTable(operators()...)
	require.NoError(t, err)
	g := lazy.NewGraph("custom")
	x := g.Input("x", lazy.F32, "n", 2)
	y := lazy.Custom(find(t, "times"), plan.Attrs{plan.Int("k", 3)}, lazy.Transpose(x, 1, 0)) // not row-major
	z := lazy.Custom(find(t, "halves"), nil, lazy.Reshape(x, -1))
	require.NoError(t, g.Err())
	require.Equal(t, "[2, n]", y.Shape().String())
	require.Equal(t, "[n]", z.Shape().String())
	feed := genie.Feed{"x": genie.Float32s([]float32{1, 2, 3, 4, 5, 6}, 3, 2)}
	for name, s := range sessions(t, table) {
		t.Run(name, func(t *testing.T) {
			out, err := s.Run(t.Context(), feed, y, lazy.Add(z, z))
			require.NoError(t, err)
			for i, want := range [][]float32{{3, 9, 15, 6, 12, 18}, {6, 14, 22}} {
				got, err := out[i].Float32s(t.Context())
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
		})
	}
}

// TestFaultyOperators: what a user's kernel does wrong fails the run, and nothing
// else: the session continues.
func TestFaultyOperators(t *testing.T) {
	table, err := custom.NewTable(operators()...)
	require.NoError(t, err)
	g := lazy.NewGraph("faulty")
	x := g.Input("x", lazy.F32, 4)
	fine := lazy.Custom(find(t, "times"), plan.Attrs{plan.Int("k", 2)}, x)
	feed := genie.Feed{"x": genie.Float32s([]float32{1, 2, 3, 4}, 4)}
	for where, s := range sessions(t, table) {
		for _, name := range []string{"panics", "overruns", "fails", "mistakes"} {
			_, err := s.Run(t.Context(), feed, lazy.Custom(find(t, name), nil, x))
			require.ErrorIs(t, err, transport.ErrOperator, "%s on %s", name, where)
			require.ErrorContains(t, err, name)
			out, err := s.Run(t.Context(), feed, fine)
			require.NoError(t, err, "after %s on %s", name, where)
			got, err := out[0].Float32s(t.Context())
			require.NoError(t, err)
			require.Equal(t, []float32{2, 4, 6, 8}, got)
		}
	}
	for _, name := range []string{"no_shape", "far", "unbound", "half"} {
		require.ErrorIs(t, lazy.Custom(find(t, name), nil, g.Input(name, lazy.F32, 4)).Err(), transport.ErrOperator, name)
	}
}

// TestUnknownOperators: an executor without an operator refuses it by name.
func TestUnknownOperators(t *testing.T) {
	g := lazy.NewGraph("unknown")
	y := lazy.Custom(find(t, "times"), plan.Attrs{plan.Int("k", 2)}, g.Input("x", lazy.F32, 4))
	require.NoError(t, y.Err())
	others, err := custom.NewTable(find(t, "halves"))
	require.NoError(t, err)
	for _, table := range []*custom.Table{nil, others} {
		for where, s := range sessions(t, table) {
			_, err := s.Run(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 2, 3, 4}, 4)}, y)
			require.ErrorIs(t, err, transport.ErrUnknownOperator, where)
			require.ErrorIs(t, err, transport.ErrInvalidPlan, where)
			require.ErrorContains(t, err, `"custom/times"`)
		}
	}
}

// TestOtherRule: a worker whose operator has another shape rule refuses the
// plan.
func TestOtherRule(t *testing.T) {
	mine, theirs := find(t, "times"), find(t, "halves")
	theirs.Name = mine.Name
	table, err := custom.NewTable(theirs)
	require.NoError(t, err)
	g := lazy.NewGraph("other")
	y := lazy.Custom(mine, plan.Attrs{plan.Int("k", 2)}, g.Input("x", lazy.F32, 4))
	for where, s := range sessions(t, table) {
		_, err := s.Run(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 2, 3, 4}, 4)}, y)
		require.ErrorIs(t, err, transport.ErrInvalidPlan, where)
	}
}

// TestTables: names are checked, and a program has one operator of each.
func TestTables(t *testing.T) {
	times := find(t, "times")
	for name, bad := range map[string][]custom.Operator{
		"twice": {times, times}, "no rule": {{Name: "x", Eval: times.Eval}}, "no kernel": {{Name: "x", Infer: times.Infer}},
		"no name": {{Infer: same, Eval: times.Eval}}, "a path": {{Name: "a/b", Infer: same, Eval: times.Eval}}, "upper case": {{Name: "A", Infer: same, Eval: times.Eval}},
	} {
		_, err := custom.NewTable(bad...)
		require.ErrorIs(t, err, plan.ErrInvalid, name)
	}
	g := lazy.NewGraph("table")
	x := g.Input("x", lazy.F32, 4)
	require.NoError(t, lazy.Custom(times, plan.Attrs{plan.Int("k", 1)}, x).Err())
	require.NoError(t, lazy.Custom(times, plan.Attrs{plan.Int("k", 2)}, x).Err())
	table, err := g.CustomOperators()
	require.NoError(t, err)
	_, err = table.Find("custom/times")
	require.NoError(t, err)
	for _, name := range []string{"times", "custom/", "custom/halves", "add"} {
		_, err = table.Find(name)
		require.ErrorIs(t, err, transport.ErrUnknownOperator, name)
	}
	require.Error(t, lazy.Custom(times, nil).Err())
	require.Error(t, lazy.Custom(times, nil, nil).Err())
	require.Error(t, lazy.Custom(custom.Operator{}, nil, x).Err())
	require.Error(t, lazy.Custom(custom.Operator{}, nil, nil).Err())
}
