package wire

import "hash/crc32"

// checksum is the CRC32C of consecutive pieces.
func checksum(pieces []Segment) (crc uint32) {
	for _, p := range pieces {
		crc = crc32.Update(crc, castagnoli, p.Data)
	}
	return crc
}

// checksums computes the checksums of a long message's frames ahead of the
// goroutine that writes them. Reading the payload costs about a third of
// writing it; doing it ahead hides that cost.
type checksums struct {
	next chan uint32
	stop chan struct{}
	done chan struct{}
}

func startChecksums(segs []Segment, n uint64) *checksums {
	s := &checksums{next: make(chan uint32, sumsAhead), stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		cur := cursor{segs: segs}
		var pieces []Segment
		for n > 0 {
			k := min(n, ChunkSize)
			n -= k
			pieces = cur.take(pieces[:0], int(k))
			select {
			case s.next <- checksum(pieces):
			case <-s.stop:
				return
			}
		}
	}()
	return s
}

// of is the checksum of the next frame, which has these pieces. Without a
// goroutine ahead it is computed here.
func (s *checksums) of(pieces []Segment) uint32 {
	if s == nil {
		return checksum(pieces)
	}
	return <-s.next
}

// end waits until the payload is no longer read.
func (s *checksums) end() {
	close(s.stop)
	<-s.done
}
