package lazy

import (
	"encoding/hex"
	"fmt"

	"github.com/zeebo/blake3"

	"github.com/genie-sdk/go/transport/plan"
)

// Fingerprint identifies the program's structure: operators, attributes, edges,
// leaves by kind, name, type, shape and weight content, outputs and carried
// pairs. Equal programs of different processes have equal fingerprints. It is
// computed once: a program that grows later keeps it, and with it the state
// that executors hold under its name.
func (g *Graph) Fingerprint() string {
	g.fpOnce.Do(func() {
		h := blake3.New()
		for _, t := range g.tensors {
			name, attrs := "", plan.Attrs(nil)
			if o := t.Op(); o != nil {
				name, attrs = o.Name(), o.Attrs()
			}
			_, _ = fmt.Fprintf(h, "%d %q %q %s %v %x %v", t.kind, t.name, name, attrs.Key(), t.spec, t.hash, t.storage)
			_, _ = fmt.Fprintf(h, " %d:%s", len(t.data), t.data)
			for _, in := range t.in {
				_, _ = fmt.Fprintf(h, " %d", in.id)
			}
			_, _ = h.Write([]byte{'\n'})
		}
		for _, o := range g.outputs {
			_, _ = fmt.Fprintf(h, "output %q %d\n", o.Name, o.Tensor.id)
		}
		for _, c := range g.carries {
			_, _ = fmt.Fprintf(h, "carry %d %d\n", c.In.id, c.Out.id)
		}
		g.fp = hex.EncodeToString(h.Sum(nil)[:16])
	})
	return g.fp
}
