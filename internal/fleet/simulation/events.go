package simulation

// kind is what happens at an event.
type kind uint8

const (
	sessionBegins  kind = iota // the next one of a group
	turnBegins                 // of a session
	requestArrives             // at the worker of a session
	stepEnds                   // of a worker; void if its epoch has passed
	workerReports
	workerFails
	workerReturns
	drainBegins // of a group
	drainEnds   // of a worker
	lossNoticed // of a session
)

// event is something that happens at a time. Events of one time happen in the
// order in which they were made.
type event struct {
	at    int64 // nanoseconds
	order uint64
	who   int32
	epoch uint32
	kind  kind
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.order < o.order }

// events is a heap with four children a node, which has half the levels of a
// binary one.
type events struct {
	list  []event
	order uint64
}

func (q *events) push(at int64, k kind, who int32, epoch uint32) {
	q.order++
	q.list = append(q.list, event{at, q.order, who, epoch, k})
	i := len(q.list) - 1
	e := q.list[i]
	for i > 0 {
		up := (i - 1) / 4
		if !e.before(&q.list[up]) {
			break
		}
		q.list[i] = q.list[up]
		i = up
	}
	q.list[i] = e
}

func (q *events) pop() (event, bool) {
	if len(q.list) == 0 {
		return event{}, false
	}
	first, last := q.list[0], len(q.list)-1
	e := q.list[last]
	q.list = q.list[:last]
	if last == 0 {
		return first, true
	}
	i := 0
	for {
		child, end := 4*i+1, min(4*i+5, last)
		if child >= last {
			break
		}
		least := child
		for c := child + 1; c < end; c++ {
			if q.list[c].before(&q.list[least]) {
				least = c
			}
		}
		if !q.list[least].before(&e) {
			break
		}
		q.list[i] = q.list[least]
		i = least
	}
	q.list[i] = e
	return first, true
}
