package emulator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// statement is an instruction or a label of a function.
type statement struct {
	line     int32
	label    string
	guard    string // the predicate
	guardNot bool
	op       []string // ld, param, u32
	args     []arg
	scope    int32  // the braces that it stands in
	used     uint64 // bytes of a load that are used: all if 0
}

func (s *statement) text() string { return strings.Join(s.op, ".") }

// has reports whether the instruction has the modifier.
func (s *statement) has(modifier string) bool {
	return slices.Contains(s.op[1:], modifier)
}

// variable is a declared register, parameter, or piece of memory.
type variable struct {
	name   string
	space  string // reg, param, shared, global, const, local
	kind   kind
	count  int // of registers name0, name1, …; 0 is name itself
	align  int
	bytes  int
	extern bool
	image  []byte // of global and const
	scope  int32

	same      string // a parameter of a call: the variable whose memory it is
	sameScope int32  // from where that is seen
}

// function is a parsed .entry or .func.
type function struct {
	name       string
	line       int32
	entry      bool
	params     []variable
	returns    []variable
	vars       []variable
	scopes     []int32 // of each scope, the one around it
	body       []statement
	maxThreads [3]int
	text       string // of the body, from line start on; it is parsed when it is used
	start      int32
}

// module is parsed PTX.
type module struct {
	vars      []variable
	functions map[string]*function
	globals   map[string]uint64 // their addresses, in a context
	mu        sync.Mutex        // guards the bodies of functions
}

// parse parses PTX, but for the bodies of functions.
func parse(text string) (*module, error) {
	if len(text) > maxPTX {
		return nil, fmt.Errorf("the PTX has %d bytes, more than %d", len(text), maxPTX)
	}
	l := &lexer{text: text, line: 1}
	m := &module{functions: map[string]*function{}}
	versions := 0
	for {
		t := l.take()
		var err error
		switch t.text {
		case "":
			if versions == 0 {
				return nil, errors.New("this is no PTX: there is no .version")
			}
			return m, nil
		case ".version", ".address_size":
			versions++
			v := l.take()
			if t.text == ".address_size" && v.text != "64" {
				err = syntaxError(v, "the size of addresses is not 64")
			}
		case ".target":
			l.take()
			for l.accept(",") {
				l.take()
			}
		case ".visible", ".weak", ".common":
		case ".extern":
			err = m.declare(l, l.take(), true)
		default:
			err = m.declare(l, t, false)
		}
		if err != nil {
			return nil, err
		}
	}
}

// declare parses a function or a variable of the module.
func (m *module) declare(l *lexer, t token, extern bool) error {
	switch t.text {
	case ".entry", ".func":
		return m.function(l, t, extern)
	case ".global", ".const", ".shared":
		vs, err := l.variables(t)
		for i := range vs {
			vs[i].extern = extern
		}
		m.vars = append(m.vars, vs...)
		return err
	}
	return syntaxError(t, "directive "+quote(t.text)+" is unknown")
}

func (m *module) function(l *lexer, t token, extern bool) error {
	f := &function{line: t.line, entry: t.text == ".entry", scopes: []int32{-1}}
	var err error
	if l.peek().text == "(" {
		if f.returns, err = l.parameters(); err != nil {
			return err
		}
	}
	f.name = l.take().text
	if l.peek().text == "(" {
		if f.params, err = l.parameters(); err != nil {
			return err
		}
	}
	for {
		d := l.take()
		switch d.text {
		case "{":
			if m.functions[f.name] != nil {
				return syntaxError(t, "function "+f.name+" is declared twice")
			}
			m.functions[f.name] = f
			f.start = l.line
			if f.text, _ = l.body(); f.text == "" {
				return syntaxError(t, "function "+f.name+" has no end")
			}
			return nil
		case ";":
			if extern {
				return syntaxError(t, "function "+f.name+" is in no module")
			}
			return nil
		case ".maxntid", ".reqntid":
			for i := range 3 {
				n, ok := number(l.take().text, false)
				if !ok || n.number > 1024 {
					return syntaxError(d, d.text+" has no size")
				}
				f.maxThreads[i] = int(n.number)
				if !l.accept(",") {
					break
				}
			}
		case ".minnctapersm", ".maxnreg", ".maxnctapersm":
			l.take()
		case ".noreturn":
		default:
			return syntaxError(d, "directive "+quote(d.text)+" of function "+f.name+" is unknown")
		}
	}
}

// parameters parses (.param …, .param …).
func (l *lexer) parameters() ([]variable, error) {
	if err := l.expect("("); err != nil {
		return nil, err
	}
	var all []variable
	for !l.accept(")") {
		t := l.take()
		if t.text != ".param" && t.text != ".reg" {
			return nil, syntaxError(t, "there is "+quote(t.text)+" in place of a parameter")
		}
		v, err := l.variable(t)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
		l.accept(",")
	}
	return all, nil
}

// variables parses the rest of a declaration, up to its semicolon.
func (l *lexer) variables(space token) ([]variable, error) {
	first, err := l.variable(space)
	all := []variable{first}
	for err == nil && l.accept(",") {
		next := variable{space: first.space, kind: first.kind, align: first.align}
		err = l.named(&next)
		all = append(all, next)
	}
	if err != nil {
		return nil, err
	}
	return all, l.expect(";")
}

// variable parses one declaration: .align 8 .b8 name[24] = {…}.
func (l *lexer) variable(space token) (variable, error) {
	v := variable{space: strings.TrimPrefix(space.text, ".")}
	for {
		t := l.take()
		switch t.text {
		case ".align":
			n, ok := number(l.take().text, false)
			if !ok || n.number == 0 || n.number > 1<<12 || n.number&(n.number-1) != 0 {
				return v, syntaxError(t, "the alignment is no power of two")
			}
			v.align = int(n.number)
		case ".ptr", ".global", ".const", ".shared", ".local", ".attribute":
		default:
			k, ok := kinds[strings.TrimPrefix(t.text, ".")]
			if !ok {
				return v, syntaxError(t, "type "+quote(t.text)+" is unknown")
			}
			v.kind = k
			if l.peek().text == ".ptr" {
				for strings.HasPrefix(l.peek().text, ".") {
					if l.take().text == ".align" {
						l.take()
					}
				}
			}
			return v, l.named(&v)
		}
	}
}

// named parses a variable's name, count, dimensions and initial value.
func (l *lexer) named(v *variable) error {
	t := l.take()
	v.name = t.text
	if t.text == "" || !wordByte(t.text[0]) {
		return syntaxError(t, quote(t.text)+" is no name")
	}
	if l.accept("<") {
		n, ok := number(l.take().text, false)
		if !ok || n.number == 0 || n.number > 1<<20 {
			return syntaxError(t, "the number of registers is out of range")
		}
		v.count = int(n.number)
		return l.expect(">")
	}
	size := v.kind.width()
	v.align = max(v.align, size, 1)
	elements := 1
	for l.accept("[") {
		if l.accept("]") {
			elements = 0
			continue
		}
		n, ok := number(l.take().text, false)
		if !ok || n.number > 1<<28 || elements*int(n.number) > 1<<28 {
			return syntaxError(t, "the size of "+v.name+" is out of range")
		}
		elements *= int(n.number)
		if err := l.expect("]"); err != nil {
			return err
		}
	}
	v.bytes = elements * size
	if l.accept("=") {
		return l.initial(v, t)
	}
	return nil
}

// initial parses an initial value: a number or {numbers}.
func (l *lexer) initial(v *variable, at token) error {
	size := v.kind.width()
	if v.bytes > 1<<24 {
		return syntaxError(at, "the value of "+v.name+" is too long")
	}
	v.image = make([]byte, v.bytes)
	list := l.accept("{")
	for i := 0; ; i++ {
		n, err := l.operand()
		if err != nil {
			return err
		}
		if n.kind != argNumber && n.kind != argFloat || (i+1)*size > len(v.image) {
			return syntaxError(at, "the value of "+v.name+" is no list of numbers of its length")
		}
		putBytes(v.image[i*size:(i+1)*size], n.number)
		if !list || !l.accept(",") {
			break
		}
	}
	if list {
		return l.expect("}")
	}
	return nil
}

// putBytes stores the low bytes of x, as many as b has.
func putBytes(b []byte, x uint64) {
	for i := range b {
		b[i] = byte(x)
		x >>= 8
	}
}
