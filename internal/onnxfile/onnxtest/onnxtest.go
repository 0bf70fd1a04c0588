// Package onnxtest writes ONNX models for tests: each function returns the encoding
// of one message of onnx.proto3, or a field of one.
//
//	m := onnxtest.Model(13, onnxtest.Node("Relu", []string{"x"}, []string{"y"}), onnxtest.Input("x", 1, 2, 3), onnxtest.Output("y", 1, 2, 3))
package onnxtest

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field is an encoded field of a message.
type Field []byte

// Bytes is a field of bytes, text or a message.
func Bytes(num protowire.Number, b []byte) Field {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

// Text is a field of text.
func Text(num protowire.Number, s string) Field { return Bytes(num, []byte(s)) }

// Int is a field of a varint.
func Int(num protowire.Number, n int64) Field {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(n))
}

// Float is a field of a float.
func Float(num protowire.Number, f float32) Field {
	return protowire.AppendFixed32(protowire.AppendTag(nil, num, protowire.Fixed32Type), math.Float32bits(f))
}

// Message joins fields.
func Message(fields ...Field) []byte {
	var out []byte
	for _, f := range fields {
		out = append(out, f...)
	}
	return out
}

// Model is a ModelProto of an operator set, with the fields of its graph.
func Model(opset int64, graph ...Field) []byte {
	return Message(Int(1, 8), Bytes(7, Message(graph...)), Opset("", opset))
}

// Opset is a field of a model: the version of a domain.
func Opset(domain string, version int64) Field {
	return Bytes(8, Message(Text(1, domain), Int(2, version)))
}

// Node is a field of a graph.
func Node(op string, in, out []string, attrs ...Field) Field {
	return Bytes(1, node(op, in, out, attrs...))
}

// FunctionNode is Node as a field of a function.
func FunctionNode(op string, in, out []string, attrs ...Field) Field {
	return Bytes(7, node(op, in, out, attrs...))
}

func node(op string, in, out []string, attrs ...Field) []byte {
	var f []Field
	for _, s := range in {
		f = append(f, Text(1, s))
	}
	for _, s := range out {
		f = append(f, Text(2, s))
	}
	return Message(append(append(f, Text(4, op)), attrs...)...)
}

// Domain is a field of a node.
func Domain(d string) Field { return Text(7, d) }

// Input and Output are fields of a graph: a tensor with a shape of sizes (int) and
// names (string).
func Input(name string, elem int64, dims ...any) Field { return Bytes(11, value(name, elem, dims)) }

// Output is like Input.
func Output(name string, elem int64, dims ...any) Field { return Bytes(12, value(name, elem, dims)) }

func value(name string, elem int64, dims []any) []byte {
	var shape []Field
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			shape = append(shape, Bytes(1, Int(1, int64(d))))
		case string:
			shape = append(shape, Bytes(1, Text(2, d)))
		default:
			shape = append(shape, Bytes(1, nil))
		}
	}
	tensor := Message(Int(1, elem), Bytes(2, Message(shape...)))
	return Message(Text(1, name), Bytes(2, Bytes(1, tensor)))
}

// Tensor is a TensorProto with raw data.
func Tensor(name string, elem int64, dims []int, raw []byte) []byte {
	f := []Field{Int(2, elem), Text(8, name), Bytes(9, raw)}
	for _, d := range dims {
		f = append(f, Int(1, int64(d)))
	}
	return Message(f...)
}

// Initializer is a field of a graph.
func Initializer(tensor []byte) Field { return Bytes(5, tensor) }

// External is a TensorProto whose content is in another file.
func External(name string, elem int64, dims []int, entries ...string) []byte {
	f := []Field{Int(2, elem), Text(8, name), Int(14, 1)}
	for _, d := range dims {
		f = append(f, Int(1, int64(d)))
	}
	for i := 0; i+1 < len(entries); i += 2 {
		f = append(f, Bytes(13, Message(Text(1, entries[i]), Text(2, entries[i+1]))))
	}
	return Message(f...)
}

// AttrInt is a field of a node.
func AttrInt(name string, n int64) Field { return attr(name, 2, Int(3, n)) }

// AttrFloat is a field of a node.
func AttrFloat(name string, f float32) Field { return attr(name, 1, Float(2, f)) }

// AttrText is a field of a node.
func AttrText(name, s string) Field { return attr(name, 3, Text(4, s)) }

// AttrTensor is a field of a node.
func AttrTensor(name string, tensor []byte) Field { return attr(name, 4, Bytes(5, tensor)) }

// AttrGraph is a field of a node.
func AttrGraph(name string, graph ...Field) Field {
	return attr(name, 5, Bytes(6, Message(graph...)))
}

// AttrInts is a field of a node.
func AttrInts(name string, n ...int64) Field {
	var packed []byte
	for _, v := range n {
		packed = protowire.AppendVarint(packed, uint64(v))
	}
	return attr(name, 7, Bytes(8, packed))
}

// AttrRef is a field of a node of a function: an attribute of the call.
func AttrRef(name string, kind int64, ref string) Field {
	return Bytes(5, Message(Text(1, name), Int(20, kind), Text(21, ref)))
}

func attr(name string, kind int64, value Field) Field {
	return Bytes(5, Message(Text(1, name), Int(20, kind), value))
}

// Function is a field of a model: a FunctionProto.
func Function(domain, name string, in, out []string, fields ...Field) Field {
	f := []Field{Text(1, name), Text(10, domain)}
	for _, s := range in {
		f = append(f, Text(4, s))
	}
	for _, s := range out {
		f = append(f, Text(5, s))
	}
	return Bytes(25, Message(append(f, fields...)...))
}

// Floats are the bytes of float32 values.
func Floats(v ...float32) []byte {
	var b []byte
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

// Ints are the bytes of int64 values.
func Ints(v ...int64) []byte {
	var b []byte
	for _, n := range v {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return b
}
