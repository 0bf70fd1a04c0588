package worker

import "container/list"

// maxDetached bounds the sessions that wait for their client, over the whole
// worker.
const maxDetached = 1024

// heldSessions are the sessions that wait for their client, by owner. When
// there are too many, the oldest session of the owner with the most is dropped,
// so no owner loses one to another that has more.
type heldSessions struct {
	n  int
	by map[string]*list.List // of *lease, oldest first
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

// over is the session to drop for the newest one of owner; nil while there is
// room.
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
