package onnxfile

import (
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// decoder reads messages of one file and holds it to the limits.
type decoder struct {
	messages int  // left to read
	text     int  // bytes left to copy
	home     view // the file
}

func newDecoder(file view) *decoder {
	return &decoder{messages: MaxMessages, text: MaxTextBytes, home: file}
}

// field is one field of a message: its number, and its value as the wire has it.
type field struct {
	num   int
	typ   protowire.Type
	bytes []byte // of length-delimited fields
	n     uint64 // of the others
}

// fields calls f for each field of message b.
func (d *decoder) fields(b []byte, what string, f func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return malformed("%s: a field without a tag", what)
		}
		b = b[n:]
		v := field{num: int(num), typ: typ}
		switch typ {
		case protowire.VarintType:
			v.n, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(b)
			v.n = uint64(x)
		case protowire.Fixed64Type:
			v.n, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(b)
		default:
			return malformed("%s: field %d has wire type %d", what, num, typ)
		}
		if n < 0 {
			return malformed("%s: field %d is cut short", what, num)
		}
		b = b[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// count takes n messages, names or numbers from what may be read.
func (d *decoder) count(n int) error {
	if d.messages -= n; d.messages < 0 {
		return malformed("more than %d messages, names and numbers", MaxMessages)
	}
	return nil
}

// message checks that a field is a message.
func (d *decoder) message(v field, what string) error {
	if v.typ != protowire.BytesType {
		return malformed("%s: field %d is no message", what, v.num)
	}
	return d.count(1)
}

// name copies a short text.
func (d *decoder) name(v field, what string, to *string) error {
	if v.typ != protowire.BytesType {
		return malformed("%s: field %d is no text", what, v.num)
	}
	if len(v.bytes) > MaxNameBytes {
		return malformed("%s: a name of %d bytes, the limit is %d", what, len(v.bytes), MaxNameBytes)
	}
	if d.text -= len(v.bytes); d.text < 0 {
		return malformed("more than %d bytes of names", MaxTextBytes)
	}
	if !utf8.Valid(v.bytes) {
		return malformed("%s: field %d is no UTF-8", what, v.num)
	}
	*to = string(v.bytes)
	return d.count(1)
}

// names appends a short text to a list.
func (d *decoder) names(v field, what string, to *[]string) error {
	var s string
	err := d.name(v, what, &s)
	*to = append(*to, s)
	return err
}

// integer reads a varint.
func (d *decoder) integer(v field, what string, to *int64) error {
	if v.typ != protowire.VarintType {
		return malformed("%s: field %d is no integer", what, v.num)
	}
	*to = int64(v.n)
	return nil
}

// integers appends one varint, or a packed list of them.
func (d *decoder) integers(v field, what string, to *[]int64) error {
	if v.typ == protowire.VarintType {
		*to = append(*to, int64(v.n))
		return d.count(1)
	}
	if v.typ != protowire.BytesType {
		return malformed("%s: field %d is no list of integers", what, v.num)
	}
	for b := v.bytes; len(b) > 0; {
		x, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return malformed("%s: field %d is cut short", what, v.num)
		}
		if err := d.count(1); err != nil {
			return err
		}
		*to, b = append(*to, int64(x)), b[n:]
	}
	return nil
}

// floats appends one float32, or a packed list of them.
func (d *decoder) floats(v field, what string, to *[]float32) error {
	if v.typ == protowire.Fixed32Type {
		*to = append(*to, math.Float32frombits(uint32(v.n)))
		return d.count(1)
	}
	if v.typ != protowire.BytesType || len(v.bytes)%4 != 0 {
		return malformed("%s: field %d is no list of floats", what, v.num)
	}
	if err := d.count(len(v.bytes) / 4); err != nil {
		return err
	}
	for b := v.bytes; len(b) > 0; b = b[4:] {
		x, _ := protowire.ConsumeFixed32(b)
		*to = append(*to, math.Float32frombits(x))
	}
	return nil
}
