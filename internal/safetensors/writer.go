package safetensors

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

// Entry describes a tensor to write. Shape is empty for a scalar.
type Entry struct {
	Name  string
	DType DType
	Shape []int64
}

// Bytes returns the size of the entry's data; the error wraps [ErrCorrupt] or
// [ErrUnsupported].
func (e Entry) Bytes() (int64, error) { return byteSize(e.DType, e.Shape) }

// Writer writes one file, tensor by tensor. It is not safe for concurrent use.
// Close publishes the file, Abort drops it; only the first of them counts, so
// the usual form is `defer w.Abort()` and an explicit Close.
type Writer struct {
	path    string
	entries []Entry
	sizes   []int64
	current int   // index of the tensor being written, -1 before the first
	left    int64 // remaining bytes
	file    *atomicfile.File
	err     error // sticky: the first failure, or that the writer is closed
}

var errWriterClosed = errors.New("writer is closed")

// Create starts a file at path with the given tensors, in their order, and
// writes its header, padded with spaces to a multiple of 8 bytes. The same
// arguments give the same bytes. Hugging Face's loaders require metadata
// {"format": "pt"}.
//
// It refuses a name that is empty, repeated, reserved or not UTF-8, an unknown
// dtype, and an order in which a tensor would not be aligned to its element's
// size (put the wider types first): the format allows no padding between
// tensors. The error is an *[Error], or the system's.
func Create(path string, entries []Entry, metadata map[string]string) (*Writer, error) {
	return CreateContext(context.Background(), path, entries, metadata)
}

// CreateContext is [Create] for a path that may be a pipe: the end of ctx ends
// the wait for its reader.
func CreateContext(ctx context.Context, path string, entries []Entry, metadata map[string]string) (*Writer, error) {
	head, sizes, err := buildHeader(path, entries, metadata)
	if err != nil {
		return nil, err
	}
	file, err := atomicfile.CreateContext(ctx, path)
	if err != nil {
		return nil, err //nolint:wrapcheck // names the path
	}
	w := &Writer{path: path, entries: slices.Clone(entries), sizes: sizes, current: -1, file: file}
	if _, err := file.Write(head); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), file.Abort())
	}
	return w, nil
}

// Begin starts the tensor of that name, which must be the next one; the
// previous one must be complete.
func (w *Writer) Begin(name string) error {
	if w.err != nil {
		return w.err
	}
	if w.left != 0 {
		return w.fail(w.entries[w.current].Name, "%d bytes are missing", w.left)
	}
	if w.current+1 >= len(w.entries) {
		return w.fail(name, "comes after the last tensor")
	}
	if next := w.entries[w.current+1].Name; next != name {
		return w.fail(name, "out of order, the next is %s", quote(next))
	}
	w.current++
	w.left = w.sizes[w.current]
	return nil
}

// Write appends to the data of the current tensor. More bytes than the tensor
// has are an error, and none of them is written.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if int64(len(p)) > w.left {
		if w.current < 0 {
			return 0, w.fail("", "data before the first Begin")
		}
		return 0, w.fail(w.entries[w.current].Name, "%d bytes of data where %d are left", len(p), w.left)
	}
	n, err := w.file.Write(p)
	w.left -= int64(n)
	if err != nil {
		w.err = fmt.Errorf("write %s: %w", w.path, err)
		return n, w.err
	}
	return n, nil
}

// Close syncs the file and publishes it under its name. If a tensor is missing
// or an earlier call failed, it drops the file and returns the error.
func (w *Writer) Close() error {
	if w.err != nil {
		if errors.Is(w.err, errWriterClosed) {
			return nil
		}
		return w.drop(w.err)
	}
	if w.left != 0 {
		return w.drop(w.fail(w.entries[w.current].Name, "%d bytes are missing", w.left))
	}
	for i := w.current + 1; i < len(w.entries); i++ {
		if w.sizes[i] != 0 {
			return w.drop(w.fail(w.entries[i].Name, "was never written"))
		}
	}
	w.err = errWriterClosed
	return w.file.Commit() //nolint:wrapcheck // names the path
}

// Abort drops the file. After Close it does nothing.
func (w *Writer) Abort() error {
	if errors.Is(w.err, errWriterClosed) {
		return nil
	}
	w.err = errWriterClosed
	return w.file.Abort() //nolint:wrapcheck // names the path
}

// drop aborts the file because of err, and returns it.
func (w *Writer) drop(err error) error { return errors.Join(err, w.Abort()) }

func (w *Writer) fail(tensor, format string, args ...any) error {
	w.err = &Error{File: w.path, Tensor: tensor, Reason: fmt.Sprintf(format, args...), Err: ErrWrite}
	return w.err
}

// buildHeader returns the file's first bytes, length included, and each
// tensor's size.
func buildHeader(path string, entries []Entry, metadata map[string]string) ([]byte, []int64, error) {
	head := append(make([]byte, lengthBytes, 256+128*len(entries)), '{')
	if len(metadata) > 0 {
		for k, v := range metadata {
			if !utf8.ValidString(k) || !utf8.ValidString(v) {
				return nil, nil, &Error{File: path, Reason: "metadata is not valid UTF-8", Err: ErrCorrupt}
			}
		}
		text, err := json.Marshal(metadata) // keys sorted
		if err != nil {
			return nil, nil, fmt.Errorf("metadata of %s: %w", path, err)
		}
		head = append(append(head, `"`+metadataKey+`":`...), text...)
	}
	sizes := make([]int64, len(entries))
	seen := make(map[string]struct{}, len(entries))
	offset := int64(0)
	for i, e := range entries {
		size, bad := checkEntry(e, seen, offset)
		if bad != nil {
			bad.File = path
			return nil, nil, bad
		}
		if len(head) > lengthBytes+1 {
			head = append(head, ',')
		}
		head = appendEntry(head, e, offset, offset+size)
		sizes[i] = size
		offset += size
	}
	head = append(head, '}')
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	if len(head)-lengthBytes > maxHeaderBytes {
		return nil, nil, &Error{File: path, Err: ErrCorrupt, Reason: fmt.Sprintf("header takes %d bytes, over the limit of %d", len(head)-lengthBytes, maxHeaderBytes)}
	}
	binary.LittleEndian.PutUint64(head, uint64(len(head)-lengthBytes))
	return head, sizes, nil
}

func checkEntry(e Entry, seen map[string]struct{}, offset int64) (int64, *Error) {
	size, err := e.Bytes()
	if err != nil {
		return 0, sizeFault(e.Name, err)
	}
	_, dup := seen[e.Name]
	switch {
	case e.DType.Size() == 0:
		return 0, fault(e.Name, ErrUnsupported, "dtype %q", string(e.DType))
	case e.Name == "" || e.Name == metadataKey || !utf8.ValidString(e.Name):
		return 0, fault(e.Name, ErrCorrupt, "name is empty, reserved or not UTF-8")
	case dup:
		return 0, fault(e.Name, ErrCorrupt, "name appears twice")
	case offset%e.DType.Size() != 0:
		return 0, fault(e.Name, ErrCorrupt, "would begin at %d, which is not aligned to %s: put wider types first", offset, e.DType)
	case size > math.MaxInt64-offset:
		return 0, fault(e.Name, ErrCorrupt, "file would have more bytes than fit 64 bits")
	}
	seen[e.Name] = struct{}{}
	return size, nil
}

// appendEntry appends one header field in the key order of the reference
// implementation.
func appendEntry(head []byte, e Entry, begin, end int64) []byte {
	name, _ := json.Marshal(e.Name) //nolint:errchkjson // a string always marshals
	head = append(append(head, name...), `:{"dtype":"`+string(e.DType)+`","shape":[`...)
	for i, n := range e.Shape {
		if i > 0 {
			head = append(head, ',')
		}
		head = strconv.AppendInt(head, n, 10)
	}
	head = append(head, `],"data_offsets":[`...)
	head = append(strconv.AppendInt(head, begin, 10), ',')
	return append(strconv.AppendInt(head, end, 10), "]}"...)
}
