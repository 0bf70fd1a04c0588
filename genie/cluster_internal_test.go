package genie

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/semantic"
)

// TestLinksAreLearned: runs that move little tell the delay of a link, those that
// move much its rate; a snapshot does not change any more.
func TestLinksAreLearned(t *testing.T) {
	v := &clusterView{cluster: *semantic.UniformCluster(2, semantic.ReferenceDevice(), semantic.Link{Rate: 1e9, Delay: time.Millisecond})}
	before := v.snapshot()
	for range 100 {
		v.observe(1, 100, 20*time.Millisecond)
	}
	require.InDelta(t, 10e-3, v.snapshot().Client[1].Delay.Seconds(), 1e-4)
	for range 100 {
		v.observe(1, 1e6, 120*time.Millisecond) // of which 20 ms are the delays
	}
	require.InEpsilon(t, 1e7, v.snapshot().Client[1].Rate, 0.01)
	v.observe(1, 1e6, -1)
	v.observe(1, 1e4, time.Hour) // neither little nor much
	require.InEpsilon(t, 1e7, v.snapshot().Client[1].Rate, 0.01)
	require.Equal(t, before.Client[0], v.snapshot().Client[0])
	require.Equal(t, time.Millisecond, before.Client[1].Delay)
}
