package spellings

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/genie-sdk/go/transport/plan"
)

// Load reads every file of a folder whose name ends in .txt, in the order of
// their names.
func Load(dir string) ([]*Concept, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var out []*Concept
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		cs, err := Parse(filepath.Base(f), string(src))
		if err != nil {
			return nil, err
		}
		out = append(out, cs...)
	}
	return out, nil
}

// Parse reads one file.
func Parse(file, src string) ([]*Concept, error) {
	ls, err := lines(file, src)
	if err != nil {
		return nil, err
	}
	r := reader{}
	for _, l := range ls {
		if err := r.line(l); err != nil {
			return nil, err
		}
	}
	for _, c := range r.concepts {
		if err := c.complete(); err != nil {
			return nil, err
		}
	}
	return r.concepts, nil
}

// reader holds the concept and the spelling that the next line belongs to.
type reader struct {
	concepts []*Concept
	concept  *Concept
	spelling *Spelling
}

func (r *reader) line(l line) error {
	if l.tokens == nil {
		return r.prose(l)
	}
	p := &parser{tokens: l.tokens, at: l.at}
	word := ""
	if len(l.tokens) > 1 && l.tokens[0].kind == tokName && l.tokens[1].kind == tokName {
		word = p.word()
	}
	switch {
	case word == "concept":
		r.spelling, r.concept = nil, &Concept{File: l.at.file, Name: p.word()}
		r.concepts = append(r.concepts, r.concept)
	case r.concept == nil:
		p.fail("a line before the first concept")
	case word == "spelling":
		r.begin(p, &r.concept.Spellings)
	case word == "trap":
		r.begin(p, &r.concept.Traps)
	case r.spelling != nil:
		r.spelling.body = append(r.spelling.body, p.statement(word))
	default:
		r.declare(p, word)
	}
	return p.end()
}

func (r *reader) begin(p *parser, of *[]*Spelling) {
	r.spelling = &Spelling{Name: p.word(), at: p.at}
	if r.concept.ByName(r.spelling.Name) != nil {
		p.fail("another spelling or trap of %s is called %s", r.concept.Name, r.spelling.Name)
	}
	*of = append(*of, r.spelling)
}

// declare reads a line at the head of a concept.
func (r *reader) declare(p *parser, word string) {
	c := r.concept
	switch word {
	case "dims":
		for {
			d := Dim{Name: p.word()}
			if p.take("=") {
				d.Size = int(p.primary().num)
			}
			if c.Dims = append(c.Dims, d); !p.take(",") {
				return
			}
		}
	case "param":
		v := Param{Name: p.word()}
		p.want("=")
		v.Value, p.err = formula(p.expr(), nil)
		c.Params = append(c.Params, v)
	case "input", "weight":
		in := Input{Name: p.word(), Weight: word == "weight", at: p.at}
		in.DType, in.shape = p.spec()
		c.Inputs = append(c.Inputs, in)
	case "output":
		for {
			if c.Outputs = append(c.Outputs, p.word()); !p.take(",") {
				return
			}
		}
	default:
		p.fail("%q is not a declaration", p.peek().text)
	}
}

// spec reads an element type and a shape: f32[b, t, n].
func (p *parser) spec() (plan.DType, []node) {
	dt, err := plan.ParseDType(p.word())
	if err != nil {
		p.fail("%v", err)
	}
	p.want("[")
	return dt, p.args("]")
}

// statement reads a line of a spelling.
func (p *parser) statement(word string) statement {
	s := statement{at: p.at}
	switch word {
	case "state":
		s.kind, s.names = declareState, []string{p.word()}
		s.dtype, s.shape = p.spec()
		return s
	case "carry":
		s.kind = carry
	case "":
	default:
		p.fail("%q is not a statement", word)
		return s
	}
	for {
		if s.names = append(s.names, p.word()); !p.take(",") {
			break
		}
	}
	p.want("=")
	s.value = p.expr()
	return s
}

func (r *reader) prose(l line) error {
	key, text, _ := strings.Cut(l.text, ":")
	text = strings.TrimSpace(text)
	s := r.spelling
	switch {
	case r.concept == nil || (s == nil) != (key == "about"):
		return l.at.errorf("%q does not belong here", key)
	case text == "":
		return l.at.errorf("%q is empty", key)
	case key == "about":
		r.concept.About = text
	case key == "from":
		s.From = text
	case key == "why":
		s.Why = text
	case key == "note":
		s.Note = text
	case key == "not":
		s.Not = strings.Fields(strings.ReplaceAll(text, ",", " "))
	}
	return nil
}

// complete checks that nothing is missing.
func (c *Concept) complete() error {
	if len(c.Outputs) == 0 || len(c.Spellings) == 0 {
		return pos{c.File, 1}.errorf("concept %s has no output or no spelling", c.Name)
	}
	for _, s := range c.Spellings {
		if s.From == "" || len(s.body) == 0 {
			return s.at.errorf("spelling %s does not say where it is from, or is empty", s.Name)
		}
	}
	for _, s := range c.Traps {
		if s.Why == "" || len(s.Not) == 0 || len(s.body) == 0 {
			return s.at.errorf("trap %s does not say why it is one or what it is not, or is empty", s.Name)
		}
	}
	return nil
}
