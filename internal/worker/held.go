package worker

import "container/list"

// maxDetached bounds the sessions that wait for their client, of the whole
// worker.
const maxDetached = 1024

// heldSessions are the sessions that wait for their client, by whose they are.
// One more than there may be pushes out the oldest of the identity that has the
// most, so that nobody is pushed out by another who has more.
type heldSessions struct {
	n  int
	by map[string]*list.List // of *lease, the oldest first
}

func (h *heldSessions) add(l *lease) {
	if h.by == nil {
		h.by = map[string]*list.List{}
	}
	own := h.by[l.owner]
	if own == nil {
		own = list.New()
		h.by[l.owner] = own
	}
	l.at = own.PushBack(l)
	h.n++
}

func (h *heldSessions) remove(l *lease) {
	own := h.by[l.owner]
	own.Remove(l.at)
	if l.at = nil; own.Len() == 0 {
		delete(h.by, l.owner)
	}
	h.n--
}

// over is the session that has to go for the last one of owner; nil while there
// is room.
func (h *heldSessions) over(owner string) *lease {
	if h.n <= maxDetached {
		return nil
	}
	most := h.by[owner]
	for _, own := range h.by {
		if own.Len() > most.Len() {
			most = own
		}
	}
	return most.Front().Value.(*lease)
}
