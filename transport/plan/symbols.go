package plan

import (
	"fmt"
	"math"
)

// Symbols lists the symbols of p's values and attributes in order of first
// use: the order of a call's bindings.
func (p *Plan) Symbols() []string {
	var s symbols
	p.collect(&s, math.MaxInt)
	return s.list
}

// checkSymbols bounds the symbols.
func (p *Plan) checkSymbols() error {
	var s symbols
	if p.collect(&s, MaxSymbols); len(s.list) > MaxSymbols {
		return fmt.Errorf("%w: more than %d symbols", ErrInvalid, MaxSymbols)
	}
	return nil
}

// collect adds p's symbols to s until there are more than most.
func (p *Plan) collect(s *symbols, most int) {
	for i := range p.Values {
		if s.add(p.Values[i].Spec.Shape); len(s.list) > most {
			return
		}
	}
	for i := range p.Steps {
		for _, a := range p.Steps[i].Attrs {
			if s.add(a.Dims); len(s.list) > most {
				return
			}
		}
	}
}

// symbols are distinct names in order of first use.
type symbols struct {
	list []string
	has  map[string]bool
}

func (s *symbols) add(dims []Dim) {
	for _, d := range dims {
		for _, t := range d.terms {
			for _, name := range t.syms {
				if of, _, ok := Quotient(name); ok {
					s.add([]Dim{of})
					continue
				}
				if !s.has[name] {
					if s.has == nil {
						s.has = map[string]bool{}
					}
					s.has[name] = true
					s.list = append(s.list, name)
				}
			}
		}
	}
}
