package benchname_test

import (
	"bytes"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		workload, baseline string
		parts              []string
		want               string
	}{
		{"plan-hash", "genie", nil, "workload=plan-hash/baseline=genie"},
		{"gemm", "avx2", []string{"threads=2", "m=8"}, "workload=gemm-threads2-m8/baseline=avx2/threads=2/m=8"},
		{"decode", "full", []string{"model=gpt2", "batch=4", "net=lan"}, "workload=decode-b4/baseline=full/model=gpt2/batch=4/net=lan"},
		{"row", "avx2", []string{"op=add"}, "workload=row-add/baseline=avx2/op=add"},
	} {
		require.Equal(t, c.want, benchname.Of(c.workload, c.baseline, c.parts...))
	}
	require.Panics(t, func() { benchname.Of("w", "b", "lan") })
}

// TestDeclare: only benchmarks print units; the output of tests has none.
func TestDeclare(t *testing.T) {
	f := flag.Lookup("test.bench")
	was := f.Value.String()
	defer func() { require.NoError(t, f.Value.Set(was)) }()
	var out bytes.Buffer
	require.NoError(t, f.Value.Set(""))
	benchname.Declare(&out, "GF/s better=higher")
	require.Empty(t, out.String())
	require.NoError(t, f.Value.Set("."))
	benchname.Declare(&out, "GF/s better=higher", "B/s better=higher")
	require.Equal(t, "Unit GF/s better=higher\nUnit B/s better=higher\n", out.String())
}
