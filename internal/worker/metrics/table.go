package metrics

import (
	"slices"

	"github.com/genie-sdk/go/internal/worker/meter"
	"github.com/genie-sdk/go/transport/wire"
)

// table is all metrics; their names begin with genie_worker_. A new metric is a
// line here and a line in docs/operations.md.
func table(version string) []metric {
	return slices.Concat(clients(version), work(), resources())
}

// clients are the metrics of connections, sessions and requests.
func clients(version string) []metric {
	return []metric{
		gauges("info", "Version and kernel path of the worker; always 1.", []string{"version", "cpu"}, func(s *sample, value func(float64, ...string)) {
			value(1, version, s.stats.CPU)
		}),
		gauge("ready", "Whether the worker takes requests: 0 while its device is lost, and from the moment it is told to shut down.", func(s *sample) int64 { return truth(s.ready) }),

		gauge("connections", "Connections that are open.", func(s *sample) int64 { return s.ConnectionsOpen.Load() }),
		counter("connections_total", "Connections that were taken.", func(s *sample) int64 { return s.Connections.Load() }),
		counter("connections_refused_total", "Connections that were refused: too many, or the worker shuts down.", func(s *sample) int64 { return s.ConnectionsRefused.Load() }),
		gauge("strangers", "Open connections whose peers have not authenticated.", func(s *sample) int64 { return s.Strangers.Load() }),
		counter("strangers_evicted_total", "Connections of peers that had not authenticated, closed to make room for others.", func(s *sample) int64 { return s.StrangersEvicted.Load() }),
		gauge("sessions", "Sessions that are open.", func(s *sample) int64 { return s.stats.Sessions }),
		gauge("sessions_detached", "Sessions that are held for a client whose connection was lost.", func(s *sample) int64 { return int64(s.detached) }),
		counter("sessions_total", "Sessions that were opened.", func(s *sample) int64 { return s.SessionsOpened.Load() }),
		counter("sessions_resumed_total", "Sessions that clients joined again over another connection.", func(s *sample) int64 { return s.SessionsResumed.Load() }),
		counter("sessions_lapsed_total", "Sessions that were freed because their clients did not come back within the lease.", func(s *sample) int64 { return s.SessionsLapsed.Load() }),
		counter("sessions_not_held_total", "Sessions that were freed with their connection because too many waited for their clients.", func(s *sample) int64 { return s.SessionsNotHeld.Load() }),
		gauge("queue_length", "Requests that wait for their turn.", func(s *sample) int64 { return s.Waiting.Load() }),
		gauge("requests_running", "Requests that are being done.", func(s *sample) int64 { return s.Running.Load() }),
		counters("requests_total", "Requests that have ended, whatever their outcome, by type.", []string{"type"}, requests),
		counters("request_errors_total", "Requests that failed, by type and cause.", []string{"type", "code"}, failures),
		counters("quota_refusals_total", "Requests that failed for an identity's quota, by what it is about.", []string{"quota"}, func(s *sample, value func(float64, ...string)) {
			s.Quotas(func(kind string, n int64) { value(float64(n), kind) })
		}),
		counter("requests_handed_back_total", "Requests that a shutdown refused or ended, for their clients to make elsewhere.", func(s *sample) int64 { return s.RequestsHandedBack.Load() }),
		counter("device_losses_total", "Times that the device was lost with its sessions, plans and weights, and opened anew or given up.", func(s *sample) int64 { return s.DeviceLosses.Load() }),
		counter("panics_total", "Panics that were caught; each is a fault of the worker.", func(s *sample) int64 { return s.Panics.Load() }),

		histogram("queue_wait_seconds", "Time from the end of a request's message to its turn.", nil, func(s *sample, times func(*meter.Histogram, ...string)) { times(&s.QueueWait) }),
		histogram("request_duration_seconds", "Time from a request's first frame to its answer, by type.", []string{"type"}, requestTimes),
		histogram("run_duration_seconds", "Time that the engine took for one run; loop is a run of a token loop, call one that a client asked for.", []string{"kind"}, func(s *sample, times func(*meter.Histogram, ...string)) {
			times(&s.Run, "call")
			times(&s.LoopRun, "loop")
		}),
	}
}

// work are the metrics of the engine, and of plans and weights.
func work() []metric {
	return []metric{
		counter("runs_total", "Runs of plans.", func(s *sample) int64 { return s.stats.Runs }),
		counter("batches_total", "Dynamic batches: times that runs of several sessions were computed together.", func(s *sample) int64 { return s.stats.Batches }),
		counter("batched_runs_total", "Runs that were computed in a dynamic batch with runs of other sessions.", func(s *sample) int64 { return s.stats.BatchedRuns }),
		referenceSeconds(),
		named("genie_reference_kernels_total", "Groups of steps that were computed by the reference of an operator, since the device has no kernel for them.", func(s *sample) float64 { return float64(s.stats.References) }),
		counter("ops_total", "Operators that were run.", func(s *sample) int64 { return s.stats.Ops }),
		counter("loop_runs_total", "Runs that token loops made.", func(s *sample) int64 { return s.LoopRuns.Load() }),
		counter("tokens_total", "Tokens that token loops made, of all sequences.", func(s *sample) int64 { return s.Tokens.Load() }),

		gauge("plans", "Compiled plans that are held.", func(s *sample) int64 { return s.stats.Plans }),
		counter("plans_received_total", "Plans that clients sent.", func(s *sample) int64 { return s.stats.PlansSent }),
		counters("plan_lookups_total", "Plans that clients named by their hash; a miss has to be sent.", []string{"result"}, func(s *sample, value func(float64, ...string)) {
			value(float64(s.PlanHits.Load()), "hit")
			value(float64(s.PlanMisses.Load()), "miss")
		}),
		gauge("weights", "Weights that are held.", func(s *sample) int64 { return s.stats.Weights }),
		counter("weights_received_total", "Weights that were taken in, from clients and from the model folder.", func(s *sample) int64 { return s.stats.WeightsSent }),
		counters("weight_lookups_total", "Weights that prepared plans want: held (hit), found in the model folder (folder) or in the cache on disk (cache), or to be sent (miss).", []string{"result"}, func(s *sample, value func(float64, ...string)) {
			value(float64(s.WeightHits.Load()), "hit")
			value(float64(s.WeightFolderHits.Load()), "folder")
			value(float64(s.WeightCacheHits.Load()), "cache")
			value(float64(s.WeightMisses.Load()), "miss")
		}),
		counter("weight_evictions_total", "Weights that went from memory to make room.", func(s *sample) int64 { return s.stats.WeightEvictions }),
		counter("uploads_shared_total", "Waits for weights that another client of the identity was sending.", func(s *sample) int64 { return s.UploadsShared.Load() }),
		counter("uploads_resumed_total", "Weights whose upload went on where a connection was cut.", func(s *sample) int64 { return s.stats.UploadsResumed }),
		counters("cache_lookups_total", "Weights that were looked for in the cache on disk.", []string{"result"}, func(s *sample, value func(float64, ...string)) {
			value(float64(s.stats.CacheHits), "hit")
			value(float64(s.stats.CacheMisses), "miss")
		}),
		counter("cache_evictions_total", "Files that went from the cache on disk to make room.", func(s *sample) int64 { return s.stats.CacheEvictions }),
		gauge("cache_entries", "Files in the cache on disk.", func(s *sample) int64 { return s.stats.CacheEntries }),
		gauge("cache_bytes", "Size of the cache on disk.", func(s *sample) int64 { return s.stats.CacheBytes }),
	}
}

// resources are the metrics of memory and of bytes.
func resources() []metric {
	return []metric{
		gauges("memory_bytes", "Memory that counts against the budget, by kind; retained is the outputs that sessions retain, staging holds received inputs, plans is compiled plans and their bindings, buffers is the memory of connections and sessions.", []string{"kind"}, func(s *sample, value func(float64, ...string)) {
			value(float64(s.stats.WeightBytes), "weights")
			value(float64(s.stats.StateBytes), "state")
			value(float64(s.stats.RetainedBytes), "retained")
			value(float64(s.stats.ScratchBytes), "scratch")
			value(float64(s.staged), "staging")
			value(float64(s.stats.PlanBytes), "plans")
			value(float64(s.stats.BufferBytes), "buffers")
		}),
		gauge("weights_packed_bytes", "The part of the weights' memory that is in the layout that kernels read.", func(s *sample) int64 { return s.stats.PackedBytes }),
		gauge("memory_used_bytes", "Memory that counts against the limit.", func(s *sample) int64 { return s.stats.MemoryUsed }),
		gauge("memory_limit_bytes", "Limit of that memory; 0 for none.", func(s *sample) int64 { return s.stats.MemoryLimit }),
		gauge("peak_resident_memory_bytes", "Largest resident memory of the process so far.", func(s *sample) int64 { return s.stats.PeakRSS }),

		counters("wire_bytes_total", "Bytes of messages that travelled, by direction and cause; received is from clients.", []string{"direction", "cause"}, func(s *sample, value func(float64, ...string)) {
			b := s.Ledger.Snapshot()
			byCause("received", b.Received, value)
			byCause("sent", b.Sent, value)
		}),
		counters("socket_bytes_total", "Bytes that sockets read and wrote, by direction.", []string{"direction"}, func(s *sample, value func(float64, ...string)) {
			b := s.Ledger.Snapshot()
			value(float64(b.SocketReceived), "received")
			value(float64(b.SocketSent), "sent")
		}),
	}
}

// referenceSeconds is the time of what has no kernel. It is not named after the
// worker, since whatever runs plans may export it.
func referenceSeconds() metric {
	return named("genie_reference_kernel_seconds_total", "Time in references of operators: plain code for what the device has no kernel for.", func(s *sample) float64 {
		return s.stats.ReferenceTime.Seconds()
	})
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// A worker reports a type of request only after the first one.

func requests(s *sample, value func(float64, ...string)) {
	sums := map[string]int64{}
	s.Requests(func(t wire.Type, n int64, _ *meter.Histogram) { sums[typeName(t)] += n })
	for name, n := range sums {
		value(float64(n), name)
	}
}

func requestTimes(s *sample, times func(*meter.Histogram, ...string)) {
	s.Requests(func(t wire.Type, _ int64, h *meter.Histogram) {
		if t.Known() {
			times(h, typeName(t))
		}
	})
}

func failures(s *sample, value func(float64, ...string)) {
	sums := map[[2]string]int64{}
	s.Errors(func(t wire.Type, code uint32, n int64) { sums[[2]string{typeName(t), codeName(code)}] += n })
	for l, n := range sums {
		value(float64(n), l[0], l[1])
	}
}
