package semantic

import (
	"math"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// Cluster is the devices of one or more workers and the links between them, as
// they were measured. plan.Step.Device counts into Devices.
type Cluster struct {
	Devices []ClusterDevice `json:"devices"`
	// Links[i][j] is the link from device i to device j. Without a direct link,
	// and where Links is nil, values cross through the client.
	Links [][]Link `json:"links,omitempty"`
	// Client[i] is the link between the client and device i, in both directions.
	Client []Link `json:"client"`
}

// ClusterDevice is one device of a cluster.
type ClusterDevice struct {
	Name   string `json:"name"` // for people, such as the address of its worker
	Device Device `json:"device"`
	// Memory is the bytes that plans may use there; 0 is unlimited.
	Memory int64 `json:"memory,omitempty"`
	// Holds reports whether a weight is in the device's memory; nil if nothing
	// is known. It must be a constant function while a plan is made.
	Holds func(plan.Hash) bool `json:"-"`
}

// Link is a connection in one direction.
type Link struct {
	Rate   float64       `json:"rate"` // bytes per second; 0 is unlimited
	Delay  time.Duration `json:"delay"`
	Direct bool          `json:"direct"` // the ends reach each other
}

// Seconds is the time from the first byte sent to the last one received.
func (l Link) Seconds(bytes float64) float64 { return l.Delay.Seconds() + l.occupied(bytes) }

// occupied is the time in which the link takes nothing else.
func (l Link) occupied(bytes float64) float64 {
	if l.Rate <= 0 {
		return 0
	}
	return bytes / l.Rate
}

// through is a path over two links, of which the second begins when the first
// has delivered everything.
func (l Link) through(next Link) Link {
	out := Link{Delay: l.Delay + next.Delay}
	if inverse := l.occupied(1) + next.occupied(1); inverse > 0 {
		out.Rate = 1 / inverse
	}
	return out
}

// Between is the path that a value takes from one device to another: the direct
// link, or through the client, which costs both of its links.
func (c *Cluster) Between(from, to int) Link {
	if from < len(c.Links) && to < len(c.Links[from]) && c.Links[from][to].Direct {
		return c.Links[from][to]
	}
	return c.toClient(from).through(c.toClient(to))
}

// toClient is the link between the client and a device; one that is not listed
// costs nothing.
func (c *Cluster) toClient(device int) Link {
	if device < len(c.Client) {
		return c.Client[device]
	}
	return Link{}
}

// Check finds rates, delays and sizes that are no numbers of a cluster.
func (c *Cluster) Check() error {
	if c == nil || len(c.Devices) == 0 {
		return placeErr("the cluster has no device")
	}
	if len(c.Devices) > MaxClusterDevices {
		return placeErr("%d devices, at most %d", len(c.Devices), MaxClusterDevices)
	}
	for i := range c.Devices {
		if d := &c.Devices[i]; d.Memory < 0 {
			return placeErr("device %d (%s) has %d bytes of memory", i, d.Name, d.Memory)
		}
	}
	for _, links := range append([][]Link{c.Client}, c.Links...) {
		for i, l := range links {
			if l.Rate < 0 || math.IsNaN(l.Rate) || math.IsInf(l.Rate, 0) || l.Delay < 0 {
				return placeErr("link of device %d: %v B/s, %v", i, l.Rate, l.Delay)
			}
		}
	}
	return nil
}

// MaxClusterDevices bounds the devices of a cluster.
const MaxClusterDevices = 64

// UniformCluster is n devices of one kind, with one kind of link between each
// pair and to the client.
func UniformCluster(n int, d Device, l Link) *Cluster {
	c := &Cluster{Devices: make([]ClusterDevice, n), Links: make([][]Link, n), Client: make([]Link, n)}
	for i := range n {
		c.Devices[i], c.Client[i] = ClusterDevice{Name: deviceName(i), Device: d}, l
		c.Links[i] = make([]Link, n)
		for j := range n {
			if i != j {
				c.Links[i][j] = l
			}
		}
	}
	return c
}
