package simulation

// entry is state that a worker keeps although no sequence runs on it: that of a
// prefix, or of a conversation, which continues one.
type entry struct {
	key          uint64
	size         int64
	rows         int32
	parent       int32 // the entry of its prefix, or none
	users        int32 // running sequences and entries that continue it
	newer, older int32 // among those without users, by last use
}

func (s *session) key() uint64 { return mix(s.number) }

func (s *session) prefixKey() uint64 {
	return mix(uint64(s.group.model.number)<<48 | 1<<47 | uint64(s.prefix))
}

func (w *worker) find(key uint64) int32 {
	if e, ok := w.held[key]; ok {
		return e
	}
	return none
}

// hold adds an entry without users.
func (f *fleet) hold(w *worker, key uint64, rows int32, size int64, parent int32) int32 {
	i := int32(len(f.entries))
	if n := len(f.unused); n > 0 {
		i, f.unused = f.unused[n-1], f.unused[:n-1]
	} else {
		f.entries = append(f.entries, entry{})
	}
	f.entries[i] = entry{key: key, size: size, rows: rows, parent: parent}
	if parent != none {
		f.use(w, parent)
	}
	w.held[key] = i
	w.used += size
	w.idle += size
	f.link(w, i)
	return i
}

// drop forgets an entry without users.
func (f *fleet) drop(w *worker, i int32) {
	e := f.entries[i]
	f.unlink(w, i)
	delete(w.held, e.key)
	w.used -= e.size
	w.idle -= e.size
	if e.parent != none {
		f.unuse(w, e.parent)
	}
	f.unused = append(f.unused, i)
}

// use keeps an entry from being dropped.
func (f *fleet) use(w *worker, i int32) {
	if f.entries[i].users++; f.entries[i].users == 1 {
		f.unlink(w, i)
		w.idle -= f.entries[i].size
	}
}

func (f *fleet) unuse(w *worker, i int32) {
	if f.entries[i].users--; f.entries[i].users == 0 {
		f.link(w, i)
		w.idle += f.entries[i].size
	}
}

// link makes an entry the one that was used last.
func (f *fleet) link(w *worker, i int32) {
	f.entries[i].newer, f.entries[i].older = none, w.recent
	if w.recent != none {
		f.entries[w.recent].newer = i
	} else {
		w.oldest = i
	}
	w.recent = i
}

func (f *fleet) unlink(w *worker, i int32) {
	e := &f.entries[i]
	if e.newer != none {
		f.entries[e.newer].older = e.older
	} else {
		w.recent = e.older
	}
	if e.older != none {
		f.entries[e.older].newer = e.newer
	} else {
		w.oldest = e.newer
	}
}

// room makes room for size bytes, and reports whether there is.
func (f *fleet) room(w *worker, size int64) bool {
	if w.kind.memory-w.used+w.idle < size {
		// Entries that others continue become free with them, so this is less than
		// what dropping all gives; what is missing comes when sequences end.
		if w.count > 0 || w.prompting != none || w.recent == none {
			return false
		}
	}
	for w.kind.memory-w.used < size {
		if w.oldest == none {
			return false
		}
		f.stats.dropped += f.entries[w.oldest].size
		f.drop(w, w.oldest)
	}
	return true
}

// adopt holds a prefix that another worker sent.
func (f *fleet) adopt(w *worker, s *session) {
	size := int64(s.group.tokens) * s.group.model.row
	if f.room(w, size) {
		f.hold(w, s.prefixKey(), s.group.tokens, size, none)
	}
}

// admit reserves the memory of a session's request, and finds how much of its
// prompt is there already.
func (f *fleet) admit(w *worker, id int32) bool {
	s := &f.session[id]
	row, shared := s.group.model.row, s.group.prefixTokens(s)
	prefix := none
	size := int64(s.history+s.prompt+s.output) * row
	if shared > 0 {
		if prefix = w.find(s.prefixKey()); prefix != none {
			f.use(w, prefix)
		} else {
			size += int64(shared) * row
		}
	}
	own := w.find(s.key())
	if own != none {
		f.use(w, own)
		size -= f.entries[own].size
	}
	ok := f.room(w, size)
	if own != none {
		f.unuse(w, own)
	}
	if prefix != none {
		f.unuse(w, prefix)
	}
	if !ok {
		return false
	}
	cached := min(s.moved, s.history)
	if own != none {
		cached = max(cached, min(f.entries[own].rows, s.history))
		f.drop(w, own)
	}
	switch {
	case shared == 0:
	case prefix != none:
		cached += shared
	default:
		prefix = f.hold(w, s.prefixKey(), shared, int64(shared)*row, none)
		cached = 0 // what follows depends on it
	}
	if s.prefixAt = prefix; prefix != none {
		f.use(w, prefix)
	}
	w.used += int64(s.history+s.prompt+s.output) * row
	s.cached, s.rows = cached, s.tokens()-cached
	f.stats.looked += int64(s.tokens())
	f.stats.reused += int64(cached)
	return true
}

// release frees the memory of a request that ended; its history counts it.
func (f *fleet) release(w *worker, s *session) {
	w.used -= int64(s.history) * s.group.model.row
	if s.prefixAt != none {
		f.unuse(w, s.prefixAt)
		s.prefixAt = none
	}
}

// keep is release of a conversation that may continue: its state stays.
func (f *fleet) keep(w *worker, s *session) {
	prefix := s.prefixAt
	s.prefixAt = none
	size := int64(s.history) * s.group.model.row
	w.used -= size
	f.hold(w, s.key(), s.history, size, prefix)
	if prefix != none {
		f.unuse(w, prefix)
	}
}
