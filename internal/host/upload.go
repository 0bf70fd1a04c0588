package host

import (
	"context"
	"fmt"
	"io"

	"github.com/genie-sdk/go/transport"
)

// WeightWriter takes the content of one weight, see [engine.WeightWriter].
type WeightWriter interface {
	io.Writer
	Want() int64
	Commit() error
}

// uploadPart is how much of a weight is packed between two turns, where it is not
// copied first.
const uploadPart = 4 << 20

// Upload gives an engine a weight. What is in a mapped file is copied to buffer first,
// a part at a time, so that the hashed bytes are the packed bytes, whatever happens to
// the file meanwhile, and a truncated file is an error of this weight alone; a nil
// buffer reads the content where it is. Before each part it takes a turn, which may
// wait and end the upload; did, which may be nil, is told how much was taken. fault is
// what is wrong with the weight, err why it was not taken otherwise.
func Upload(ctx context.Context, to WeightWriter, from transport.Weight, buffer []byte, turn func(ctx context.Context) error, did func(n int)) (fault, err error) {
	size := len(from.Data)
	if int64(size) != to.Want() {
		return fmt.Errorf("%w: the weight has %d bytes, the plan says %d", transport.ErrShape, size, to.Want()), nil
	}
	for at := 0; at < size; {
		if err := turn(ctx); err != nil {
			return nil, err
		}
		part := from.Data[at:min(at+uploadPart, size)]
		if buffer != nil {
			n, err := from.CopyTo(buffer, at)
			if err != nil {
				return err, nil // not an error of the request
			}
			part = buffer[:n]
		}
		if _, err := to.Write(part); err != nil {
			return err, nil
		}
		if at += len(part); did != nil {
			did(len(part))
		}
	}
	return to.Commit(), nil
}
