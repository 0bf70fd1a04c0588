//go:build genie_cuda

package cudatest_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/device/cuda/cudriver"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/host/cudahost"
)

// BenchmarkProbe measures the GPU as genie doctor does.
func BenchmarkProbe(b *testing.B) {
	number, _ := strings.CutPrefix(deviceName(), "cuda:")
	n, err := strconv.Atoi(number)
	require.NoError(b, err)
	kind := cudahost.Kind(cudriver.New)
	var rates host.Rates
	b.Run(benchname.Of("probe", "genie"), func(b *testing.B) {
		for b.Loop() {
			rates, err = kind.Probe(b.Context(), n)
			require.NoError(b, err)
		}
		b.ReportMetric(rates.Copies, "read-B/s")
		for _, p := range rates.Products {
			b.ReportMetric(p.FLOPs, p.DType+"-FLOP/s")
		}
	})
}
