package fleet

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/genie-sdk/go/fleet/route"
)

// Facts are what a worker says of itself in a directory.
type Facts struct {
	route.Worker

	Version string    // of the program
	Started time.Time // when
	Runs    int64     // since then
	Sent    int64     // bytes, since then
	Got     int64     // bytes, since then
	Metrics string    // its --metrics address, "" for none

	// Model folders and caches are not listed: what a filter does not have may still
	// be there.
}

// Leases of workers. A worker renews its entry three times within its lease.
const (
	DefaultLease = 6 * time.Second
	minLease     = 100 * time.Millisecond
	maxLease     = time.Hour
)

// Names of a worker's entries: what changes often, and what it holds, which is larger.
const (
	factsPrefix = "facts."
	heldPrefix  = "held."
)

// factsEntry is facts as they are written.
type factsEntry struct {
	Address  string    `json:"address"`
	Identity string    `json:"identity,omitempty"`
	Zone     string    `json:"zone,omitempty"`
	Path     string    `json:"path,omitempty"`
	Version  string    `json:"version,omitempty"`
	Metrics  string    `json:"metrics,omitempty"`
	Lease    float64   `json:"lease_seconds"`
	Started  time.Time `json:"started,omitzero"`
	Draining bool      `json:"draining,omitempty"`

	FLOPS  float64 `json:"flops,omitempty"`
	Read   float64 `json:"read_bytes_per_second,omitempty"`
	Rate   float64 `json:"link_bytes_per_second,omitempty"`
	Memory int64   `json:"memory_bytes,omitempty"`
	Free   int64   `json:"free_bytes,omitempty"`

	Sessions int                    `json:"sessions"`
	Running  int                    `json:"running"`
	Waiting  [route.Classes]int     `json:"waiting"`
	Wait     [route.Classes]float64 `json:"wait_seconds"`
	Runs     int64                  `json:"runs"`
	Sent     int64                  `json:"sent_bytes"`
	Got      int64                  `json:"received_bytes"`
}

// heldEntry is the filters as they are written.
type heldEntry struct {
	Weights  []byte `json:"weights,omitempty"`
	Prefixes []byte `json:"prefixes,omitempty"`
}

// encode gives the two entries.
func (f *Facts) encode(lease time.Duration) (facts, held []byte, err error) {
	w := &f.Worker
	facts, err = json.Marshal(factsEntry{
		Address: w.Address, Identity: w.Identity, Zone: w.Zone, Path: w.Path, Version: f.Version, Metrics: f.Metrics,
		Lease: lease.Seconds(), Started: f.Started, Draining: w.Draining,
		FLOPS: w.Speed.FLOPS, Read: w.Speed.Read, Rate: w.Link.Rate, Memory: w.Memory, Free: w.Free,
		Sessions: w.Load.Sessions, Running: w.Load.Running, Waiting: w.Load.Waiting, Wait: w.Load.Wait,
		Runs: f.Runs, Sent: f.Sent, Got: f.Got,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	var e heldEntry
	if e.Weights, err = w.Weights.MarshalBinary(); err != nil {
		return nil, nil, err
	}
	if e.Prefixes, err = w.Prefixes.MarshalBinary(); err != nil {
		return nil, nil, err
	}
	if held, err = json.Marshal(e); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	return facts, held, nil
}

// decodeFacts reads the facts of the worker id, which somebody wrote.
func decodeFacts(id string, data []byte) (Facts, time.Duration, error) {
	var e factsEntry
	if err := json.Unmarshal(data, &e); err != nil {
		return Facts{}, 0, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	f := Facts{
		Worker: route.Worker{
			ID: id, Address: e.Address, Identity: e.Identity, Zone: e.Zone, Path: e.Path, Draining: e.Draining,
			Speed:  route.Speed{FLOPS: e.FLOPS, Read: e.Read},
			Link:   route.Link{Rate: e.Rate},
			Memory: e.Memory, Free: e.Free,
			Load: route.Load{Sessions: e.Sessions, Running: e.Running, Waiting: e.Waiting, Wait: e.Wait},
		},
		Version: e.Version, Metrics: e.Metrics, Started: e.Started, Runs: max(e.Runs, 0), Sent: max(e.Sent, 0), Got: max(e.Got, 0),
	}
	if err := f.Check(); err != nil {
		return Facts{}, 0, err
	}
	if !(e.Lease >= minLease.Seconds() && e.Lease <= maxLease.Seconds()) {
		return Facts{}, 0, fmt.Errorf("%w: a lease of %v s", ErrEntry, e.Lease)
	}
	if err := checkAddress(e.Address); err != nil {
		return Facts{}, 0, err
	}
	for _, s := range []string{e.Version, e.Metrics} {
		if len(s) > route.MaxName || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			return Facts{}, 0, fmt.Errorf("%w: %q", ErrEntry, s[:min(len(s), route.MaxName)])
		}
	}
	return f, time.Duration(e.Lease * float64(time.Second)), nil
}

// checkAddress lets a directory name workers on the network alone.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "tcp" && u.Scheme != "grpc" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%w: the address %q", ErrEntry, address)
	}
	if _, port, err := net.SplitHostPort(u.Host); err != nil || port == "" || port == "0" {
		return fmt.Errorf("%w: the address %q", ErrEntry, address)
	}
	return nil
}

func decodeHeld(data []byte) (weights, prefixes *route.Filter, err error) {
	var e heldEntry
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	if weights, err = filter(e.Weights); err != nil {
		return nil, nil, err
	}
	prefixes, err = filter(e.Prefixes)
	return weights, prefixes, err
}

func filter(data []byte) (*route.Filter, error) {
	if len(data) == 0 {
		return nil, nil //nolint:nilnil // none
	}
	f := &route.Filter{}
	return f, f.UnmarshalBinary(data)
}
