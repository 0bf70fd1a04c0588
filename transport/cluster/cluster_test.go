package cluster_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/cluster"
	"github.com/genie-sdk/go/transport/conformance"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds are the executors that members can be.
var kinds = map[string]func(t *testing.T) transport.Executor{
	"local": func(t *testing.T) transport.Executor {
		ex, err := local.Open(local.WithThreads(1))
		require.NoError(t, err)
		return ex
	},
	"tcp": func(t *testing.T) transport.Executor {
		ex, err := tcp.Dial(t.Context(), workertest.Start(t, workertest.WithPeers(t, nil)).TCP)
		require.NoError(t, err)
		return ex
	},
	"grpc": func(t *testing.T) transport.Executor {
		ex, err := rpc.Dial(t.Context(), workertest.Start(t, workertest.WithPeers(t, nil)).GRPC)
		require.NoError(t, err)
		return ex
	},
}

// open makes a cluster of members of these kinds.
func open(t *testing.T, members []string, opts ...cluster.Option) transport.Executor {
	t.Helper()
	list := make([]cluster.Member, len(members))
	for i, kind := range members {
		list[i] = cluster.Member{Name: fmt.Sprintf("%s-%d", kind, i), Executor: kinds[kind](t)}
	}
	ex, err := cluster.New(list, opts...)
	require.NoError(t, err)
	return ex
}

// scattered places each step at random, the same for the same plan and seed.
func scattered(members int, seed uint64) cluster.Option {
	return cluster.WithPlacement(func(p *plan.Plan) []int {
		h := fnv.New64a()
		hash := p.Hash()
		_, _ = h.Write(hash[:])
		r := rand.New(rand.NewPCG(seed, h.Sum64()))
		out := make([]int, len(p.Steps))
		for i := range out {
			out[i] = r.IntN(members)
		}
		return out
	})
}

var mixtures = map[string][]string{
	"one local":        {"local"},
	"local":            {"local", "local"},
	"tcp":              {"tcp", "tcp"},
	"grpc":             {"grpc", "grpc"},
	"tcp, local, grpc": {"tcp", "local", "grpc"},
}

// mixed are the mixtures; with the race detector, which makes them slow, those that
// have all kinds of members.
func mixed() map[string][]string {
	if !raced {
		return mixtures
	}
	out := map[string][]string{}
	for _, name := range []string{"local", "tcp, local, grpc"} {
		out[name] = mixtures[name]
	}
	return out
}

func remote(members []string) bool {
	for _, kind := range members {
		if kind != "local" {
			return true
		}
	}
	return false
}

// TestConformance is the suite with every plan on the first member.
func TestConformance(t *testing.T) {
	for name, members := range mixed() {
		t.Run(name, func(t *testing.T) {
			conformance.Run(t, func(t *testing.T) transport.Executor { return open(t, members) },
				conformance.Options{Remote: members[0] != "local", Devices: len(members)})
		})
	}
}

// always lets every value cross directly where it can.
func always() cluster.Option {
	return cluster.WithDirect(func(int, int, plan.Spec) bool { return true })
}

// TestConformanceScattered is the suite with each step on a random member. With odd
// seeds values cross directly, and with even ones through this process.
func TestConformanceScattered(t *testing.T) {
	for name, members := range mixed() {
		for seed := range uint64(2) {
			if len(members) == 1 && seed > 0 {
				continue
			}
			direct := cluster.WithDirect(func(int, int, plan.Spec) bool { return seed%2 == 1 })
			t.Run(fmt.Sprintf("%s/seed=%d", name, seed), func(t *testing.T) {
				conformance.Run(t, func(t *testing.T) transport.Executor { return open(t, members, scattered(len(members), seed), direct) },
					conformance.Options{Remote: remote(members), Devices: len(members), Divided: len(members) > 1})
			})
		}
	}
}

// TestMembers refuses a cluster without members, and one of too many.
func TestMembers(t *testing.T) {
	for _, n := range []int{0, cluster.MaxMembers + 1} {
		_, err := cluster.New(make([]cluster.Member, n))
		require.ErrorIs(t, err, transport.ErrLimit)
	}
}
