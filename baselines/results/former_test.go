package results

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const recorded = "../../testdata/bench"

// TestFormerNames: benchmarks recorded under former names map to the present
// ones.
func TestFormerNames(t *testing.T) {
	for former, now := range map[string]string{
		"DecodeBatch/batch=4/model=gpt2-2":                        "DecodeBatch/workload=decode-batch-b4/baseline=genie/batch=4/model=gpt2-8",
		"TwoSessions/together=true/model=gpt2-2":                  "TwoSessions/workload=two-sessions/baseline=at-once/model=gpt2",
		"Profile/of=llm-prefill/model=gpt2":                       "Profile/workload=profile-llm-prefill/baseline=genie/of=llm-prefill/model=gpt2",
		"DecodeOverhead/step=decode/model=gpt2-2":                 "DecodeOverhead/workload=decode-overhead/baseline=genie/model=gpt2",
		"GemmPackedTwoThreads/path=avx512/threads=2/m=8/n=9/k=10": "GemmPackedTwoThreads/workload=gemm-packed-threads2-m8-n9-k10/baseline=avx512/threads=2/m=8/n=9/k=10",
		"OpenBLAS/threads=2/m=8/n=9/k=10":                         "OpenBLAS/workload=gemm-packed-threads2-m8-n9-k10/baseline=openblas/threads=2/m=8/n=9/k=10",
		"RivalDecode_PyTorch/workload=llm-decode/baseline=pytorch/model=gpt2/net=none/dtype=f32/threads=all-2": "ReferenceDecode_PyTorch/workload=llm-decode-f32-all/baseline=pytorch/model=gpt2/net=none/dtype=f32/threads=all-2",
		"ResNet50_Peers/workload=resnet50/net=none/threads=1/batch=8/baseline=torch-packed-2":                  "ResNet50_ReferenceSystems/workload=resnet50-threads1-b8/baseline=torch-packed/net=none/threads=1/batch=8-2",
		"Conv_Engine/workload=conv/threads=all/batch=1/layer=3x224-64-k7-s2-relu/baseline=genie-2":             "Conv_Engine/workload=conv-all-b1-layer3x224-64-k7-s2-relu/baseline=genie/threads=all/batch=1/layer=3x224-64-k7-s2-relu-2",
		"CostModel/workload=cost-model/baseline=full/net=loopback/op=upload/bytes=1024-2":                      "CostModel/workload=cost-model-upload-bytes1024/baseline=full/op=upload/bytes=1024/net=loopback-2",
	} {
		require.Equal(t, ParseName("Benchmark"+now), ParseName("Benchmark"+former), former)
	}
}

// TestFormerRecordings reads recordings that are older than the present names:
// each result has a workload, a baseline and a time.
func TestFormerRecordings(t *testing.T) {
	for _, name := range []string{"engine-small.txt", "kernels-avx512.txt", "kernels-openblas.txt", "reference-systems-small.txt", "reference-systems-avx512.txt"} {
		f, err := Open(filepath.Join(recorded, name))
		require.NoError(t, err)
		for _, c := range f.Cases {
			require.NotEmpty(t, c.Workload, "%s: %s", name, c.Name)
			require.NotEmpty(t, c.Baseline, "%s: %s", name, c.Name)
		}
	}
	f, err := Open(filepath.Join(recorded, "reference-systems-avx512.txt"))
	require.NoError(t, err)
	for baseline, least := range map[string]float64{"genie": 15e-3, "torch-contiguous": 15e-3} {
		c := f.Find(Key{Workload: "resnet50", Net: "none", Variant: "threads=all/batch=1", Baseline: baseline})
		require.NotNil(t, c, baseline)
		s, ok := c.Summary("sec/op")
		require.True(t, ok, baseline)
		require.Greater(t, s.Median, least, "peer-ns in the file")
	}
}

// TestFormerAgainstCurrent compares an old recording with a new one.
func TestFormerAgainstCurrent(t *testing.T) {
	line := func(name, unit string) string { return strings.Repeat("Benchmark"+name+" 1 "+unit+"\n", 6) }
	before := read(t, line("Conv_Peers/workload=conv/threads=all/batch=1/layer=l/baseline=torch-packed-2", "2000 peer-ns 1000 peer-min-ns")+
		line("OpenBLAS/threads=2/m=8/n=9/k=10-2", "100 ns/op"))
	after := read(t, line("Conv_ReferenceSystems/workload=conv-all-b1-l/baseline=torch-packed/threads=all/batch=1/layer=l-2", "4000 ns/op 1000 min-ns")+
		line("OpenBLAS/workload=gemm-packed-threads2-m8-n9-k10/baseline=openblas/threads=2/m=8/n=9/k=10-2", "100 ns/op"))
	v := Gate(before, after, 0.05)
	require.False(t, v.OK)
	require.Len(t, v.Findings, 1)
	require.Equal(t, Regression, v.Findings[0].Reason)
	require.Equal(t, "sec/op", v.Findings[0].Unit)
	require.InDelta(t, 100, *v.Findings[0].Percent, 1e-9)
	require.Empty(t, v.Added)
}
