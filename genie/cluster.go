package genie

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/cluster"
)

// openCluster connects to all executors of a list, which work together.
func openCluster(ctx context.Context, list string, o options) (*Client, error) {
	urls := strings.Split(list, ",")
	if len(urls) > semantic.MaxClusterDevices {
		return nil, fmt.Errorf("%w: %d executors, at most %d work together", ErrURL, len(urls), semantic.MaxClusterDevices)
	}
	for _, u := range urls {
		if err := checkURL(u); err != nil {
			return nil, err
		}
	}
	execs := make([]transport.Executor, len(urls))
	closeAll := func(err error) error {
		for _, x := range execs {
			if x != nil {
				err = errors.Join(err, x.Close())
			}
		}
		return err
	}
	group, all := errgroup.WithContext(ctx)
	for i, u := range urls {
		group.Go(func() (err error) {
			execs[i], err = dial(all, u, o)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, closeAll(err)
	}
	view, err := probeAll(ctx, urls, execs, o)
	if err != nil {
		return nil, closeAll(err)
	}
	if err := view.probeLinks(ctx, execs); err != nil {
		return nil, closeAll(err)
	}
	members := make([]cluster.Member, len(urls))
	for i := range members {
		members[i] = cluster.Member{Name: view.cluster.Devices[i].Name, Executor: execs[i]}
	}
	x, err := cluster.New(members)
	if err != nil {
		return nil, closeAll(err)
	}
	c := newClient(&workers{opts: o, execs: []transport.Executor{x}}, o)
	c.owned, c.view = true, view
	return c, nil
}

// clusterView is what a client knows of the workers that it uses together.
type clusterView struct {
	placement semantic.Placement

	mu      sync.Mutex
	cluster semantic.Cluster
}

// snapshot is the cluster as it is known now.
func (v *clusterView) snapshot() *semantic.Cluster {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := semantic.Cluster{Devices: slices.Clone(v.cluster.Devices), Client: slices.Clone(v.cluster.Client)}
	for _, l := range v.cluster.Links {
		c.Links = append(c.Links, slices.Clone(l))
	}
	return &c
}

const (
	// enoughBytes is the traffic of a run that tells the rate of a link; below
	// fewBytes it tells the delay.
	enoughBytes, fewBytes = 256 << 10, 4 << 10
	// linkWeight is the weight of a new observation of a link.
	linkWeight = 0.2
)

// observe learns about the link to a device from a run there: the bytes that the
// run moved, and its time without what the device spent.
func (v *clusterView) observe(device, bytes int, moved time.Duration) {
	if moved <= 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	l := &v.cluster.Client[device]
	switch rest := moved - 2*l.Delay; {
	case bytes <= fewBytes:
		l.Delay += time.Duration(linkWeight * float64(moved/2-l.Delay))
	case bytes >= enoughBytes && rest > 0:
		seen := float64(bytes) / rest.Seconds()
		if l.Rate <= 0 {
			l.Rate = seen
		}
		l.Rate += linkWeight * (seen - l.Rate)
	}
}

// observed tells the view about a run of a plan that one device ran alone.
func (s *Session) observed(sch *scheduled, call *transport.Call, res *transport.Result, took time.Duration) {
	if s.c.view == nil || sch.Placed == nil || len(sch.Plan.Steps) == 0 {
		return
	}
	device, bytes := sch.Plan.Steps[0].Device, 0
	for i := range sch.Plan.Steps {
		if sch.Plan.Steps[i].Device != device {
			return
		}
	}
	for i := range call.Inputs {
		bytes += len(call.Inputs[i].Data)
	}
	for i := range res.Outputs {
		bytes += len(res.Outputs[i].Tensor.Data)
	}
	s.c.view.observe(device, bytes, took-res.Elapsed)
}

// Cluster is what the client knows of the devices and links of the workers that
// it uses together, see [WithPlacement]; nil for one worker at a time. The result
// is a copy.
func (c *Client) Cluster() *semantic.Cluster {
	if c.view == nil {
		return nil
	}
	return c.view.snapshot()
}
