package emulator

import (
	"fmt"
	"strconv"
	"strings"
)

// parse parses the body of a function, once.
func (f *function) parse() error {
	if f.body != nil {
		return nil
	}
	err := f.parseBody(&lexer{text: f.text, line: f.start})
	if err != nil {
		f.body = nil
		return fmt.Errorf("function %s: %w", f.name, err)
	}
	return nil
}

// parseBody parses the statements of a function, after its opening brace.
func (f *function) parseBody(l *lexer) error {
	f.body, f.vars, f.scopes = []statement{}, nil, []int32{-1}
	scope, used := int32(0), uint64(0)
	for {
		t := l.take()
		if len(f.body) > maxStatements || len(f.scopes) > maxStatements {
			return syntaxError(t, "function "+f.name+" has too many instructions")
		}
		var err error
		switch t.text {
		case "":
			return syntaxError(t, "function "+f.name+" has no end")
		case ";":
		case "{":
			f.scopes = append(f.scopes, scope)
			scope = int32(len(f.scopes) - 1)
		case "}":
			if scope = f.scopes[scope]; scope < 0 {
				return nil
			}
		case ".reg", ".shared", ".local", ".param", ".global", ".const":
			var vs []variable
			vs, err = l.variables(t)
			for i := range vs {
				vs[i].scope = scope
			}
			f.vars = append(f.vars, vs...)
		case ".pragma":
			s := strings.Trim(l.take().text, `"`)
			if mask, ok := strings.CutPrefix(s, "used_bytes_mask "); ok {
				if used, err = strconv.ParseUint(mask, 0, 64); err != nil {
					return syntaxError(t, "the mask of pragma "+quote(s)+" is no number")
				}
			}
			err = l.expect(";")
		case ".loc":
			for l.peek().line == t.line && l.peek().text != "" {
				l.take()
			}
		default:
			var s statement
			if s, err = l.statement(t); err == nil {
				s.scope, s.used = scope, used
				if s.label == "" {
					used = 0
				}
				f.body = append(f.body, s)
			}
		}
		if err != nil {
			return err
		}
	}
}

// statement parses a label or an instruction that begins with t.
func (l *lexer) statement(t token) (statement, error) {
	s := statement{line: t.line}
	if t.text == "@" {
		s.guardNot = l.accept("!")
		s.guard = l.take().text
		t = l.take()
	}
	if t.text == "" || !wordByte(t.text[0]) || t.text[0] == '.' {
		return s, syntaxError(t, "there is "+quote(t.text)+" in place of an instruction")
	}
	if s.guard == "" && l.accept(":") {
		s.label = t.text
		return s, nil
	}
	s.op = strings.Split(t.text, ".")
	for first := true; !l.accept(";"); first = false {
		if !first {
			if err := l.expect(","); err != nil {
				return s, err
			}
		}
		if s.op[0] == "call" && l.peek().text == "(" {
			l.take()
			v := arg{kind: argVector}
			for !l.accept(")") {
				a, err := l.operand()
				if err != nil {
					return s, err
				}
				v.parts = append(v.parts, a)
				l.accept(",")
			}
			s.args = append(s.args, v)
			continue
		}
		a, err := l.operand()
		if err != nil {
			return s, err
		}
		if s.args = append(s.args, a); len(s.args) > 64 {
			return s, syntaxError(t, "there are too many operands")
		}
	}
	return s, nil
}

// kind is a type of PTX.
type kind uint8

const (
	none kind = iota
	pred
	b8
	u8
	s8
	b16
	u16
	s16
	b32
	u32
	s32
	b64
	u64
	s64
	f16
	bf16
	f16x2
	bf16x2
	f32
	tf32
	f64
)

var kinds = map[string]kind{
	"pred": pred, "b8": b8, "u8": u8, "s8": s8, "b16": b16, "u16": u16, "s16": s16, "b32": b32, "u32": u32, "s32": s32,
	"b64": b64, "u64": u64, "s64": s64, "f16": f16, "bf16": bf16, "f16x2": f16x2, "bf16x2": bf16x2, "f32": f32, "tf32": tf32, "f64": f64,
}

// width is the size in bytes; that of a predicate is 0.
func (k kind) width() int {
	switch k {
	case b8, u8, s8:
		return 1
	case b16, u16, s16, f16, bf16:
		return 2
	case b32, u32, s32, f32, tf32, f16x2, bf16x2:
		return 4
	case b64, u64, s64, f64:
		return 8
	default:
		return 0
	}
}

func (k kind) signed() bool { return k == s8 || k == s16 || k == s32 || k == s64 }

func (k kind) float() bool { return k == f32 || k == f64 }

// types are the types among the modifiers, in order.
func (s *statement) types() []kind {
	var all []kind
	for _, m := range s.op[1:] {
		if k, ok := kinds[m]; ok {
			all = append(all, k)
		}
	}
	return all
}

// last is the last type of the instruction: that of its operands.
func (s *statement) last() kind {
	for i := len(s.op) - 1; i > 0; i-- {
		if k, ok := kinds[s.op[i]]; ok {
			return k
		}
	}
	return none
}
