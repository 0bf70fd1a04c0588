package kernels

import (
	"fmt"
	"math"
)

// AttentionMask is what a mask does to the scores of [Attention]: Add is added to
// them, or where May is zero they become -MaxFloat32; both are nil for no mask.
// The element for key j of row r of head g is at g*Head + r*Row + j*Key.
type AttentionMask struct {
	Add            []float32
	May            []byte
	Head, Row, Key int
}

// need panics unless the mask has all elements.
func (m *AttentionMask) need(s *AttentionSpec) {
	if m.Add == nil && m.May == nil || s.Rows == 0 || s.Keys == 0 {
		return
	}
	n := max(len(m.Add), len(m.May))
	if m.Head < 0 || m.Row < 0 || m.Key < 0 || m.Add != nil && m.May != nil || (s.heads()-1)*m.Head+(s.Rows-1)*m.Row+(s.Keys-1)*m.Key >= n {
		panic(fmt.Sprintf("kernels: Attention: a mask of %d elements, with distances %d, %d and %d, for %d heads of [%d, %d]",
			n, m.Head, m.Row, m.Key, s.heads(), s.Rows, s.Keys))
	}
}

// apply masks scores of row r of head g; the first one is that of key from.
func (m *AttentionMask) apply(scores []float32, g, r, from int) {
	at := g*m.Head + r*m.Row + from*m.Key
	switch {
	case len(scores) == 0:
	case m.Add != nil && m.Key == 1:
		add(scores, scores, m.Add[at:at+len(scores)])
	case m.Add != nil && m.Key == 0:
		AddScalar(scores, scores, m.Add[at])
	case m.Add != nil:
		for j := range scores {
			scores[j] += m.Add[at+j*m.Key]
		}
	case m.May != nil && m.Key == 1:
		hideWhereZero(scores, m.May[at:at+len(scores)])
	case m.May != nil:
		for j := range scores {
			if m.May[at+j*m.Key] == 0 {
				scores[j] = -math.MaxFloat32
			}
		}
	}
}

// hideWhereZero makes the scores -MaxFloat32 where may is zero.
func hideWhereZero(scores []float32, may []byte) {
	for j := hideWhereZeroArch(scores, may); j < len(may); j++ {
		if may[j] == 0 {
			scores[j] = -math.MaxFloat32
		}
	}
}
