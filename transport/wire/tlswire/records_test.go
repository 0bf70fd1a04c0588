package tlswire

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRecords takes a stream of records apart at every place.
func TestRecords(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		var stream []byte
		content := 0
		for range 20 {
			n := r.IntN(300)
			typ := byte(typeData)
			if r.IntN(4) == 0 {
				typ = byte(20 + r.IntN(3)) // before keys are agreed on
			} else {
				content += n
				n += recordTail
			}
			stream = append(stream, typ, 3, 3)
			stream = binary.BigEndian.AppendUint16(stream, uint16(n))
			stream = append(stream, make([]byte, n)...)
		}
		var p recordParser
		overhead := 0
		for b := stream; len(b) > 0; {
			n := min(len(b), r.IntN(50)+1)
			overhead += p.overhead(b[:n])
			b = b[n:]
		}
		require.Equal(t, len(stream)-content, overhead)
		require.EqualValues(t, content, p.content.Load())
		require.Equal(t, 2, p.alerts(int64(content-2)))
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte{typeData, 3, 3, 0, 20, 1, 2, 3})
	f.Add([]byte{22, 3, 1, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p recordParser
		require.LessOrEqual(t, p.overhead(b), len(b))
	})
}
