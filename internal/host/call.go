package host

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
)

// Inputs are the inputs of a call, by index.
type Inputs interface {
	InputSize(i int) int
	AllocInput(i int) ([]byte, error)
	SetInput(i int, data []byte) error
	SetHandle(i int, h transport.Handle) error
}

// Call is one run of an engine, see [engine.Call], or a test double.
type Call interface {
	Inputs
	// Gathers reports whether the engine batches the call with calls of other
	// sessions.
	Gathers() bool
	// Measure adds the call to its session's profile of the program.
	Measure() error
	OnStep(pause func(ctx context.Context) (time.Duration, error))
	RunInTurns(ctx context.Context, turn engine.Turn) error
	Output(i int) (transport.Tensor, transport.Handle)
	Elapsed() time.Duration
	Release()
}

// Feed gives a call its n inputs. It copies an input in a mapped file under a
// guard: the threads of an engine must not read the mapping, since a truncated
// file would end the process.
func Feed(c Call, n int, input func(i int) transport.Input) error {
	for i := range n {
		var err error
		switch in := input(i); {
		case !in.Handle.IsZero():
			err = c.SetHandle(i, in.Handle)
		case in.File != "" && len(in.Data) == c.InputSize(i):
			err = feedFile(c, i, in)
		default:
			err = c.SetInput(i, in.Data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func feedFile(c Call, i int, in transport.Input) error {
	b, err := c.AllocInput(i)
	if err != nil {
		return err
	}
	return FileError(in.File, memory.Guard(in.Data, func() { copy(b, in.Data) }))
}

// FileError names the file from which an input could not be read.
func FileError(file string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: an input from %s: %w", transport.ErrCorrupt, file, err)
}

// Tokens copies an output of a finished call, with spare capacity for a few
// bytes, and releases the call.
func Tokens(c Call, output int) ([]byte, time.Duration) {
	defer c.Release()
	t, _ := c.Output(output)
	return append(make([]byte, 0, len(t.Data)+4), t.Data...), c.Elapsed()
}
