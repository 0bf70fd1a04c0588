package simulation_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/fleet/simulation"
)

func TestTmp(t *testing.T) {
	for _, name := range strings.Split(os.Getenv("SC"), ",") {
		f, err := os.Open("../../../testdata/scenarios/" + name + ".json")
		require.NoError(t, err)
		s, err := simulation.Parse(f)
		require.NoError(t, err)
		var routers []string
		if r := os.Getenv("R"); r != "" {
			routers = strings.Split(r, ",")
		}
		for _, x := range routersOr(routers, s) {
			begin := time.Now()
			r, err := s.Run(context.Background(), simulation.Options{Routers: []string{x}, Search: os.Getenv("SEARCH") != ""})
			require.NoError(t, err)
			q := r.Routers[0]
			fmt.Printf("%-16s %-13s %7.1fs done %d failed %d resumed %d fails %d tok/s %.0f all %.0f p50 %.3f p99 %.3f ans %.2f hit %.3f busy %.2f fair %.3f state %.2fGB moves %d ev %d real %v %v",
				name, q.Router, q.Seconds, q.Done, q.Failed, q.Resumed, q.Failures, q.Tokens, q.All, q.P50, q.P99, q.Answer.P50, q.HitRate, q.Busy, q.Fairness, float64(q.Moved.State)/1e9, q.Moves, q.Events, time.Since(begin).Round(time.Millisecond), q.Reasons)
			if q.Capacity != nil {
				fmt.Printf(" CAP %+v", *q.Capacity)
			}
			fmt.Println()
		}
	}
}

func routersOr(r []string, s *simulation.Scenario) []string {
	if r != nil {
		return r
	}
	if len(s.Router) > 0 {
		return s.Router
	}
	return simulation.Routers()
}
