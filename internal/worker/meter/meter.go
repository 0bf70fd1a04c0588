// Package meter counts the activity of a worker: plain atomic counters and
// histograms, which cost a few nanoseconds and no memory, and which depend on
// no monitoring system. Package metrics exports them to Prometheus.
package meter

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// Limits of the numbers that are counted: above those in use, so a new message
// or error code needs no change here.
const (
	numTypes = 32
	numCodes = 64
)

// Meter counts since the worker started; fields called Open or Waiting are
// current values. The zero Meter is ready to use from any number of goroutines.
type Meter struct {
	Ledger transport.Ledger // bytes of all connections

	ConnectionsOpen    atomic.Int64
	Connections        atomic.Int64
	ConnectionsRefused atomic.Int64
	Strangers          atomic.Int64 // open connections whose peers have not authenticated
	StrangersEvicted   atomic.Int64 // strangers evicted for others
	SessionsOpened     atomic.Int64
	SessionsResumed    atomic.Int64 // resumed by their clients over another connection
	SessionsLapsed     atomic.Int64 // freed because their clients did not return in time
	SessionsNotHeld    atomic.Int64 // freed at once because too many were waiting for their clients
	Waiting            atomic.Int64 // requests that wait for their session's turn
	Running            atomic.Int64 // requests being served
	Panics             atomic.Int64
	DeviceLosses       atomic.Int64 // times that the device was lost with all that it held
	LoopRuns           atomic.Int64 // runs of loops
	Tokens             atomic.Int64 // tokens of loops, over all sequences
	PlanHits           atomic.Int64 // plans named by hash that the worker had
	PlanMisses         atomic.Int64
	WeightHits         atomic.Int64 // weights of prepared plans that the worker had
	WeightFolderHits   atomic.Int64 // found in the model folder
	WeightCacheHits    atomic.Int64 // found in the cache on disk
	WeightMisses       atomic.Int64 // requested from the client
	UploadsShared      atomic.Int64 // waits for weights that another client was sending
	RequestsHandedBack atomic.Int64 // ended by a shutdown, to be retried elsewhere
	QueueWait          Histogram    // from the end of a message to its turn
	Run                Histogram    // the engine's time of a Run
	LoopRun            Histogram    // the engine's time of a run of a loop
	requestTime        [numTypes]Histogram
	requests           [numTypes]atomic.Int64
	errors             [numTypes][numCodes]atomic.Int64
	quotas             [len(quotaKinds)]atomic.Int64
}

// quotaKinds are the kinds of quotas, see [transport.QuotaError].
var quotaKinds = [...]string{"sessions", "plans", "calls", "bytes", "connections"}

// Request counts a request that ended d after its first frame arrived. A nil
// err is a success.
func (m *Meter) Request(t wire.Type, d time.Duration, err error) {
	i := min(int(t), numTypes-1)
	m.requests[i].Add(1)
	m.requestTime[i].Observe(d)
	if err != nil {
		m.errors[i][min(int(transport.Code(err)), numCodes-1)].Add(1)
		m.Refused(err)
	}
}

// Refused counts err if it is a refusal for a quota.
func (m *Meter) Refused(err error) {
	if q, ok := errors.AsType[*transport.QuotaError](err); ok {
		if kind := slices.Index(quotaKinds[:], q.What); kind >= 0 {
			m.quotas[kind].Add(1)
		}
	}
}

// Quotas calls each for every kind of quota, with the number of refused
// requests.
func (m *Meter) Quotas(each func(kind string, n int64)) {
	for i, kind := range quotaKinds {
		each(kind, m.quotas[i].Load())
	}
}

// Requests calls each for every type of request that has occurred.
func (m *Meter) Requests(each func(t wire.Type, n int64, d *Histogram)) {
	for i := range m.requests {
		if n := m.requests[i].Load(); n > 0 {
			each(wire.Type(i), n, &m.requestTime[i])
		}
	}
}

// Errors calls each for every type of request and error code (see
// [transport.Code]) that has occurred.
func (m *Meter) Errors(each func(t wire.Type, code uint32, n int64)) {
	for i := range m.errors {
		for j := range m.errors[i] {
			if n := m.errors[i][j].Load(); n > 0 {
				each(wire.Type(i), uint32(j), n)
			}
		}
	}
}
