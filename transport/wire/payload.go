package wire

import "github.com/genie-sdk/go/transport/plan"

// Segment is a part of a payload and the cause that its bytes count as.
type Segment struct {
	Data  []byte
	Cause plan.Cause
	// View describes the mapped file that Data is a view of; empty where Data
	// is memory of this process. A view is copied before it is sent, see
	// [stages].
	View string
}

// Len is the number of bytes of all segments.
func Len(segs []Segment) (n uint64) {
	for _, s := range segs {
		n += uint64(len(s.Data))
	}
	return n
}

// Sink is where the payload of a message goes, frame by frame.
type Sink struct {
	segs []Segment
	left uint64
}

// NewSink makes a sink over memory that is filled in order. The sink takes over
// the slice of segments.
func NewSink(segs []Segment) *Sink { return &Sink{segs: segs, left: Len(segs)} }

// Left is the number of bytes that the sink can still take.
func (s *Sink) Left() uint64 { return s.left }

// next is the memory for the next bytes, at most n of them.
func (s *Sink) next(n uint64) ([]byte, plan.Cause) {
	for len(s.segs) > 0 && len(s.segs[0].Data) == 0 {
		s.segs = s.segs[1:]
	}
	seg := &s.segs[0]
	b := seg.Data[:min(n, uint64(len(seg.Data)))]
	seg.Data = seg.Data[len(b):]
	s.left -= uint64(len(b))
	return b, seg.Cause
}

// cursor walks over the segments of a message that is sent.
type cursor struct {
	segs []Segment
	off  int
}

// take appends the next n bytes to dst as segments, without copying.
func (c *cursor) take(dst []Segment, n int) []Segment {
	for n > 0 {
		s := c.segs[0]
		k := min(n, len(s.Data)-c.off)
		if k > 0 {
			dst = append(dst, Segment{s.Data[c.off : c.off+k], s.Cause, s.View})
			n -= k
			c.off += k
		}
		if c.off == len(s.Data) {
			c.segs, c.off = c.segs[1:], 0
		}
	}
	return dst
}
