package semantic

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// ExplainedPlacement is where the steps of the plan run, and why.
type ExplainedPlacement struct {
	Name    string   `json:"name"`
	Cluster *Cluster `json:"cluster"`
	Placed
}

// ExplainPlaced is [ExplainOn] for a plan over the devices of a cluster. Costs of
// the graph are those of its first device. A nil placement is the policy's own.
func ExplainPlaced(c *Cluster, placement Placement, s *SRG, p Policy, b plan.Bindings, outputs ...lazy.Named) (*Explanation, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return explainRequest(c.Devices[0].Device, s, p, b, Request{Outputs: outputs, Cluster: c, Placement: placement, Sizes: b})
}

// placement is that of a schedule; nil without one.
func (sch *Schedule) placement(c *Cluster) *ExplainedPlacement {
	if sch.Placed == nil {
		return nil
	}
	return &ExplainedPlacement{Name: sch.PlacedBy, Cluster: c, Placed: *sch.Placed}
}

// device names a device or the client.
func (p *ExplainedPlacement) device(d int) string {
	if d == ClientDevice {
		return "client"
	}
	if name := p.Cluster.Devices[d].Name; name != "" && name != deviceName(d) {
		return fmt.Sprintf("%d %s", d, name)
	}
	return strconv.Itoa(d)
}

// text lists the devices and the values that cross.
func (p *ExplainedPlacement) text(b *strings.Builder) {
	if p == nil {
		return
	}
	fmt.Fprintf(b, "\nplacement %s over %d devices: predicted %s a run, and one every %s with many in flight\n",
		p.Name, len(p.Cluster.Devices), seconds(p.Predicted.Seconds), seconds(p.Predicted.Interval))
	table(b, "  device|steps|time|weights|not there yet|state|scratch|memory|reason", func(row func(...any)) {
		for d := range p.Predicted.Devices {
			l := &p.Predicted.Devices[d]
			row("  "+p.device(d), l.Steps, seconds(l.Seconds), si(float64(l.Weights), "B"), si(float64(l.Missing), "B"),
				si(float64(l.State), "B"), si(float64(l.Scratch), "B"), si(float64(l.Limit), "B"), dash(p.Why[d]))
		}
	})
	fmt.Fprintf(b, "%d values move\n", len(p.Predicted.Edges))
	table(b, "  value|from|to|bytes|time|way", func(row func(...any)) {
		for _, e := range p.Predicted.Edges {
			row("  "+value(e.Value), p.device(e.From), p.device(e.To), si(e.Bytes, "B"), seconds(e.Seconds), e.way())
		}
	})
}

// way is how a value crosses.
func (e *PlacedEdge) way() string {
	switch {
	case e.From == ClientDevice || e.To == ClientDevice:
		return "with the run"
	case e.Direct:
		return "direct"
	}
	return "through the client"
}

// deviceColours are the fill colours of steps in a drawing, by device.
var deviceColours = []string{
	"#cfe2f3", "#d9ead3", "#fff2cc", "#f4cccc", "#d9d2e9", "#fce5cd", "#d0e0e3", "#ead1dc",
}

// colour is the fill colour of a device's steps, "" without a placement.
func (p *ExplainedPlacement) colour(device int) string {
	if p == nil {
		return ""
	}
	return deviceColours[device%len(deviceColours)]
}

// dot draws a legend: the devices, and the values that cross between them.
func (p *ExplainedPlacement) dot(b *strings.Builder) {
	if p == nil {
		return
	}
	fmt.Fprintf(b, "  subgraph cluster_devices {\n    label=%s;\n", quoteDot(fmt.Sprintf("placement %s: %s a run, one every %s",
		p.Name, seconds(p.Predicted.Seconds), seconds(p.Predicted.Interval))))
	b.WriteString("    dev_client [label=\"client\", shape=ellipse];\n")
	for d := range p.Predicted.Devices {
		l := &p.Predicted.Devices[d]
		fmt.Fprintf(b, "    dev%d [label=%s, fillcolor=\"%s\"];\n", d, quoteDot(fmt.Sprintf("device %s\n%d steps, %s\n%s\n%s",
			p.device(d), l.Steps, seconds(l.Seconds), si(float64(l.Memory()), "B"), p.Why[d])), p.colour(d))
	}
	node := func(d int) string {
		if d == ClientDevice {
			return "dev_client"
		}
		return fmt.Sprintf("dev%d", d)
	}
	for _, e := range p.Predicted.Edges {
		fmt.Fprintf(b, "    %s -> %s [label=%s];\n", node(e.From), node(e.To),
			quoteDot(fmt.Sprintf("%s\n%s, %s", value(e.Value), si(e.Bytes, "B"), seconds(e.Seconds))))
	}
	b.WriteString("  }\n")
}
