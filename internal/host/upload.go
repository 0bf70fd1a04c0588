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

// uploadPart is the size of the parts in which a weight is packed between two
// turns, unless it is copied first.
const uploadPart = 4 << 20

// Upload gives an engine a weight. It copies content in a mapped file to buffer
// first, a part at a time, so that the hashed bytes are the packed bytes even
// if the file changes meanwhile, and a truncated file is an error of this
// weight alone. A nil buffer reads the content in place. Before each part
// Upload takes a turn, which may wait and may end the upload. It reports the
// amount taken to did, which may be nil. fault is a fault of the weight, err
// any other reason for refusing it.
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
