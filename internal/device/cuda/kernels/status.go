package kernels

import (
	le "encoding/binary"
	"fmt"

	"github.com/genie-sdk/go/internal/op"
)

// StatusBytes is the size of the status word of a run: device memory, zero
// before the run, where kernels store the first error that depends on data.
const StatusBytes = 16

// Status is a decoded status word.
type Status struct {
	Code  StatusCode
	Group int   // which failed
	Value int64 // the index or position
	Limit int64 // of how many; large ones are stored as 2^32-1
}

// StatusCode is a kind of error that depends on data.
type StatusCode uint8

// The codes.
const (
	StatusOK    StatusCode = iota
	StatusIndex            // Value is not an index of Limit rows
	StatusRows             // rows from position Value on end outside a cache of Limit
)

// MaxStatusGroup is the largest group that a status word can name.
const MaxStatusGroup = 1<<24 - 1

// DecodeStatus decodes the [StatusBytes] bytes of a status word.
func DecodeStatus(b []byte) Status {
	word := le.LittleEndian.Uint32(b)
	return Status{
		Code: StatusCode(word), Group: int(word >> 8),
		Limit: int64(le.LittleEndian.Uint32(b[4:])), Value: int64(le.LittleEndian.Uint64(b[8:])),
	}
}

// Err is the error as the reference of the operator returns it, nil for none.
func (s Status) Err() error {
	switch s.Code {
	case StatusOK:
		return nil
	case StatusIndex:
		return op.IndexError(int(s.Value), int(s.Limit))
	case StatusRows:
		return fmt.Errorf("%w: rows from %d of a cache of %d", op.ErrShape, s.Value, s.Limit)
	}
	return fmt.Errorf("genie: a kernel reported status %d", s.Code)
}
