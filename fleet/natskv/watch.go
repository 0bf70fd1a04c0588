package natskv

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/transport"
)

const (
	// checkEvery is how often a watch asks the server whether the bucket is there: a
	// cluster may lose it while the connection stays.
	checkEvery = 5 * time.Second
	retryWatch = 200 * time.Millisecond
)

// watch shows the bucket until ctx ends, and again from the beginning after each loss.
func (k *KV) watch(ctx context.Context, p *fleet.Pending) {
	lost := false
	for ctx.Err() == nil {
		_, changed, _ := k.link.now()
		err := k.watchOnce(ctx, p, &lost)
		if ctx.Err() != nil {
			break
		}
		if !lost {
			lost = true
			p.Add(fleet.Change{Kind: fleet.Lost})
		}
		k.o.log.Debug("the watch of the directory ended", "error", err)
		k.forget()
		t := time.NewTimer(retryWatch)
		select {
		case <-t.C:
		case <-changed:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
		}
	}
	p.Fail(fmt.Errorf("%w: directory", transport.ErrClosed))
}

var errWatchEnded = errors.New("genie: the watch of the directory ended")

// watchOnce shows the bucket until it is lost.
func (k *KV) watchOnce(ctx context.Context, p *fleet.Pending, lost *bool) error {
	up, changed, _ := k.link.now()
	if !up {
		return errWatchEnded
	}
	begin, cancel := context.WithTimeout(ctx, k.o.timeout)
	defer cancel()
	b, err := k.kv(begin)
	if err != nil {
		return err
	}
	watched, stop := context.WithCancel(ctx)
	defer stop()
	w, err := b.WatchAll(watched)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }()
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok {
				return errWatchEnded
			}
			if e == nil {
				*lost = false
			}
			p.Add(change(e))
		case <-changed:
			return errWatchEnded
		case <-tick.C:
			if err := k.check(ctx, b); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// change is an entry of the bucket; nil follows those that were there.
func change(e jetstream.KeyValueEntry) fleet.Change {
	switch {
	case e == nil:
		return fleet.Change{Kind: fleet.Synced}
	case e.Operation() == jetstream.KeyValuePut:
		return fleet.Change{Kind: fleet.Written, Key: e.Key(), Value: e.Value()}
	default:
		return fleet.Change{Kind: fleet.Deleted, Key: e.Key()}
	}
}

// check asks whether the bucket is there.
func (k *KV) check(ctx context.Context, b jetstream.KeyValue) error {
	ctx, cancel := context.WithTimeout(ctx, k.o.timeout)
	defer cancel()
	_, err := b.Status(ctx)
	return err
}
