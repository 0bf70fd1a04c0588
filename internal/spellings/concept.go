// Package spellings reads testdata/spellings: the ways in which exporters,
// libraries and people write one concept (a layer norm, a rotary embedding, an
// attention) in primitive operators, and programs that look alike and are
// something else. Its README says what a file contains. A spelling becomes part
// of any captured program by [Concept.Build]:
//
//	concepts, err := spellings.Load("../../testdata/spellings")
//	built, err := concepts[0].Build(concepts[0].Spellings[0], lazy.NewGraph("p"), spellings.Args{})
package spellings

import "github.com/genie-sdk/go/transport/plan"

// Concept is what its spellings have in common: the inputs, the outputs, and
// what is computed, which tests know by the concept's name.
type Concept struct {
	File, Name, About string

	Dims    []Dim
	Params  []Param
	Inputs  []Input
	Outputs []string

	Spellings []*Spelling // the first one is the canonical one
	Traps     []*Spelling // programs that look like the concept and are not
}

// Dim is a dimension of a concept: constant, or symbolic when Size is 0.
type Dim struct {
	Name string
	Size int
}

// Param is a number that spellings use and its default.
type Param struct {
	Name  string
	Value float64
}

// Input is a value that a spelling may use.
type Input struct {
	Name   string
	Weight bool
	DType  plan.DType

	shape []node
	at    pos
}

// Spelling is one way to write a concept, or a trap beside it.
type Spelling struct {
	Name string
	From string   // where it is from
	Why  string   // traps: what makes it something else
	Not  []string // traps: operators that it must not become
	Note string   // traps: a part of the reason that the normal form gives, if any

	body []statement
	at   pos
}

// ByName is the spelling or trap with that name, or nil.
func (c *Concept) ByName(name string) *Spelling {
	for _, list := range [][]*Spelling{c.Spellings, c.Traps} {
		for _, s := range list {
			if s.Name == name {
				return s
			}
		}
	}
	return nil
}

// statement is one line of a spelling.
type statement struct {
	kind  statementKind
	names []string // assigned
	value node
	dtype plan.DType // of a state
	shape []node
	at    pos
}

type statementKind uint8

const (
	assign statementKind = iota
	declareState
	carry
)

// pos is a place in a file.
type pos struct {
	file string
	line int
}
