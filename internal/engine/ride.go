package engine

import "time"

// Portions of long runs ride in dynamic batches of short ones: a batch that reads
// the weights for a few rows has arithmetic to spare. ride decides how many of
// their rows a batch has: as many as lengthen it by rideShare, from the times of
// batches with and without them.
const (
	rideShare = 0.3 // of the time that the batch takes without them
	rideFirst = 8   // rows, before anything has been measured
	rideMost  = 512 // rows
	// rideStay is how long after the last batch of short calls others are
	// expected, in times of such a batch: the next token of a session comes much
	// sooner.
	rideStay = 1
	// rideRest is the number of batches with portions after which one has none,
	// to measure the others alone.
	rideRest = 64
)

// ride is the state of that decision. The batcher's lock guards it.
type ride struct {
	alone [rideKnown]time.Duration // time of a batch without portions, by rows
	each  time.Duration            // that a row of a portion adds
	rows  float64                  // of portions, in the next batch; 0 before the first
	since int                      // batches with portions since one without
	last  time.Time                // when the last batch with short calls ended

	// Of the running batch: rows of short calls and of portions.
	short, long int
}

const rideKnown = 33

// takes reports whether a batch with that many rows of short calls and portions
// takes a portion of more rows.
func (r *ride) takes(short, long, more int) bool {
	switch {
	case long == 0:
		return short == 0 || r.since < rideRest
	case short == 0:
		return false // one at a time, so that short calls need not wait
	}
	return long+more <= r.budget()
}

// budget is the number of rows of portions in a batch.
func (r *ride) budget() int {
	if r.rows == 0 {
		return rideFirst
	}
	return max(int(r.rows), 1)
}

// begin is called when a batch has been gathered.
func (r *ride) begin(short, long int) { r.short, r.long = short, long }

// known is the index of a number of rows.
func known(rows int) int { return min(rows, rideKnown-1) }

// end learns from a batch.
func (r *ride) end(now time.Time, took time.Duration) {
	short, long := r.short, r.long
	r.short, r.long = 0, 0
	if short == 0 {
		return
	}
	r.last = now
	alone := &r.alone[known(short)]
	if long == 0 {
		r.since = 0
		*alone = typical(*alone, took)
		return
	}
	if r.since++; *alone == 0 {
		r.since = rideRest // to measure it
		return
	}
	bearable := float64(*alone) * rideShare
	r.each = time.Duration(typical(float64(r.each), max(float64(took-*alone), bearable/8)/float64(long)))
	r.rows = max(min(bearable/float64(r.each), 1.5*float64(long)+1, rideMost), 1)
}

// typical follows a sequence of times, and shorter ones quickly: a longer one is
// often that of something else which ran on the same processors.
func typical[T time.Duration | float64](known, took T) T {
	switch {
	case known == 0:
		return took
	case took < known:
		return known + (took-known)/4
	}
	return known + (min(took, 2*known)-known)/16
}

// expects reports whether batches of short calls are under way.
func (r *ride) expects(now time.Time) bool {
	if r.short > 0 {
		return true
	}
	longest := time.Duration(0)
	for _, d := range r.alone {
		longest = max(longest, d)
	}
	return !r.last.IsZero() && now.Sub(r.last) <= rideStay*longest+returnExtra
}

// portion is the number of rows of products that the next portion of a run has; 0
// means that a run need not be divided, since nobody else runs.
func (r *batcher) portion() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.always > 0:
		return r.always
	case len(r.waiting) == 0 && !r.ride.expects(time.Now()):
		return 0
	}
	return r.ride.budget()
}
