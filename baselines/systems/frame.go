package systems

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// Bounds of what is read from a reference system.
const (
	maxHeader  = 8 << 20
	maxTensors = 64
	maxPayload = 512 << 20 // bytes of all tensors of a frame
)

// Tensor is an array in row-major order, little endian.
type Tensor struct {
	DType string // f32, i32 or i64
	Shape []int
	Data  []byte
}

// F32 is the tensor of values x.
func F32(x []float32, shape ...int) Tensor {
	b := make([]byte, 0, 4*len(x))
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return Tensor{DType: "f32", Shape: shape, Data: b}
}

// Float32s are the values of a tensor of type f32.
func (t Tensor) Float32s() []float32 {
	x := make([]float32, len(t.Data)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return x
}

// check compares the number of bytes with type and shape.
func (t Tensor) check(bytes int64) error {
	var size int64
	switch t.DType {
	case "f32", "i32":
		size = 4
	case "i64":
		size = 8
	default:
		return fmt.Errorf("%w: element type %.20q", ErrProtocol, t.DType)
	}
	for _, d := range t.Shape {
		if d < 0 || d > maxPayload {
			return fmt.Errorf("%w: shape %v", ErrProtocol, t.Shape)
		}
		if size *= int64(d); size > maxPayload {
			return fmt.Errorf("%w: a %s tensor of shape %v has more than %d bytes", ErrProtocol, t.DType, t.Shape, maxPayload)
		}
	}
	if size != bytes {
		return fmt.Errorf("%w: %d bytes for a %s tensor of shape %v", ErrProtocol, bytes, t.DType, t.Shape)
	}
	return nil
}

// listed announces a tensor whose bytes follow.
type listed struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Bytes int64  `json:"bytes"`
}

// request is the JSON object that requests an operation.
type request struct {
	ID      uint64   `json:"id"`
	Op      string   `json:"op"`
	Args    any      `json:"args,omitempty"`
	Tensors []listed `json:"tensors,omitempty"`
}

// answer is the JSON object that a reference system sends.
type answer struct {
	ID      uint64          `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   *ProgramError   `json:"error"`
	Tensors []listed        `json:"tensors"`
}

// named is a tensor with its name in a frame.
type named struct {
	name string
	Tensor
}

// writeFrame writes a request and its tensors.
func writeFrame(w io.Writer, r request, tensors []named) error {
	for _, t := range tensors {
		if err := t.check(int64(len(t.Data))); err != nil {
			return err
		}
		r.Tensors = append(r.Tensors, listed{t.name, t.DType, t.Shape, int64(len(t.Data))})
	}
	head, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(head) > maxHeader {
		return fmt.Errorf("%w: a header of %d bytes, at most %d", ErrProtocol, len(head), maxHeader)
	}
	if _, err := w.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(head))), head...)); err != nil {
		return err
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Data); err != nil {
			return err
		}
	}
	return nil
}

// readFrame reads an answer and its tensors. It checks lengths before reading,
// and allocates memory as the bytes arrive.
func readFrame(r io.Reader) (*answer, map[string]Tensor, error) {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, nil, err
	}
	size := binary.LittleEndian.Uint32(n[:])
	if size > maxHeader {
		return nil, nil, fmt.Errorf("%w: a header of %d bytes (begins %q), at most %d", ErrProtocol, size, n, maxHeader)
	}
	head, err := readBytes(r, int64(size))
	if err != nil {
		return nil, nil, err
	}
	var a answer
	if err := json.Unmarshal(head, &a); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if len(a.Tensors) > maxTensors {
		return nil, nil, fmt.Errorf("%w: %d tensors, at most %d", ErrProtocol, len(a.Tensors), maxTensors)
	}
	total, tensors := int64(0), make(map[string]Tensor, len(a.Tensors))
	for _, l := range a.Tensors {
		t := Tensor{DType: l.DType, Shape: l.Shape}
		if err := t.check(l.Bytes); err != nil {
			return nil, nil, err
		}
		if _, twice := tensors[l.Name]; twice {
			return nil, nil, fmt.Errorf("%w: two tensors %.40q", ErrProtocol, l.Name)
		}
		if total += l.Bytes; total > maxPayload {
			return nil, nil, fmt.Errorf("%w: tensors of more than %d bytes", ErrProtocol, maxPayload)
		}
		if t.Data, err = readBytes(r, l.Bytes); err != nil {
			return nil, nil, err
		}
		tensors[l.Name] = t
	}
	return &a, tensors, nil
}

// firstPiece is the memory allocated for a length alone.
const firstPiece = 64 << 10

// readBytes reads n bytes into memory that doubles when full, so that a length
// without bytes costs at most firstPiece.
func readBytes(r io.Reader, n int64) ([]byte, error) {
	b := make([]byte, min(n, firstPiece))
	for at := 0; ; {
		got, err := io.ReadFull(r, b[at:])
		if err != nil {
			return nil, cut(err)
		}
		if at += got; int64(at) == n {
			return b, nil
		}
		grown := make([]byte, min(n, 2*int64(at)))
		copy(grown, b)
		b = grown
	}
}

// cut turns an end of input within a frame into an unexpected one.
func cut(err error) error {
	if err == io.EOF { //nolint:errorlint // io.ReadFull returns it as it is
		return io.ErrUnexpectedEOF
	}
	return err
}
