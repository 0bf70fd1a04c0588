package main

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// placementFlag adds --placement.
func placementFlag(f *pflag.FlagSet, name *string) {
	f.StringVar(name, "placement", "", "use several workers of a list together, and divide the model over them so: "+strings.Join(semantic.PlacementNames(), ", "))
}

// placementOptions are the options of a client for --placement.
func placementOptions(name string) ([]genie.Option, error) {
	if name == "" {
		return nil, nil
	}
	p, err := semantic.PlacementNamed(name)
	if err != nil {
		return nil, &usageError{err}
	}
	return []genie.Option{genie.WithPlacement(p)}, nil
}

// assumedCluster is the cluster that explain places a plan over: devices of one
// kind, and links of one kind between them and to the client.
type assumedCluster struct {
	placement string
	devices   int
	rate      float64 // Mbit/s
	delay     time.Duration
	memory    byteSize
}

func (o *assumedCluster) flags(f *pflag.FlagSet) {
	placementFlag(f, &o.placement)
	f.Lookup("placement").Usage = "place the plan over several devices and show where each step runs, and why: " + strings.Join(semantic.PlacementNames(), ", ")
	f.IntVar(&o.devices, "devices", 2, "devices of --placement")
	f.Float64Var(&o.rate, "link-rate", 10e3, "Mbit/s of the links between the devices and to the client, for --placement")
	f.DurationVar(&o.delay, "link-delay", 50*time.Microsecond, "delay of these links")
	f.Var(&o.memory, "device-memory", "memory of each device for --placement, such as 8GiB; 0 means no limit")
}

// explain explains a plan, placed over the devices if that was asked for.
func (o *assumedCluster) explain(d semantic.Device, s *semantic.SRG, p semantic.Policy, sizes plan.Bindings, outputs []lazy.Named) (*semantic.Explanation, error) {
	if o.placement == "" {
		return semantic.ExplainOn(d, s, p, sizes, outputs...)
	}
	placement, err := semantic.PlacementNamed(o.placement)
	if err != nil {
		return nil, &usageError{err}
	}
	if o.devices < 1 || o.devices > semantic.MaxClusterDevices || !(o.rate > 0) || o.delay < 0 {
		return nil, usagef("--devices %d --link-rate %v --link-delay %v: 1 to %d devices, a rate above 0 and a delay of at least 0", o.devices, o.rate, o.delay, semantic.MaxClusterDevices)
	}
	c := semantic.UniformCluster(o.devices, d, semantic.Link{Rate: o.rate * 1e6 / 8, Delay: o.delay, Direct: true})
	for i := range c.Devices {
		c.Devices[i].Memory = int64(o.memory)
	}
	return semantic.ExplainPlaced(c, placement, s, p, sizes, outputs...)
}
