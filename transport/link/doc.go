// Package link makes connections of this machine behave like those of a
// network: a bandwidth, a round-trip time, jitter.
//
//	profile, err := link.FromEnv() // GENIE_NET=lan-1g-500us
//	l := link.New(profile, 1)
//	ex, err := tcp.Dial(ctx, addr, tcp.WithDialer(l.Dialer(nil))) // the client's end
//	err = server.Serve(l.Listener(listener))                      // the worker's end
//
// # What is modelled
//
// Each end shapes what it writes, so each end contributes half of the delay of
// a round trip. A direction of a [Link] is one token bucket. All connections of
// the link share it and take turns:
//
//   - A byte leaves when the bucket lets it through: at [Profile].Rate, and
//     after an idle period [Profile].Burst bytes at once.
//   - It arrives half of [Profile].RTT after it left, plus a jitter drawn from
//     the seed. Jitter never changes the order of bytes.
//   - The delay does not limit the bytes in flight: a link of 1 Gbit/s and 20
//     ms carries 1 Gbit/s.
//   - A write returns when a queue has taken the bytes, as with a socket. The
//     queue holds the bytes in flight (rate times round-trip time), the burst,
//     and a send buffer of 1 MiB or two milliseconds, whichever is more; then
//     writes block. Write deadlines bound that wait, as with a socket.
//   - A dialled connection is open one round trip after dialling began.
//   - Close returns at once. The bytes already written are first delivered on
//     schedule; then the peer sees the end.
//
// The rate is that of the application's bytes. Headers, acknowledgements, slow
// start and loss of a real network are not modelled.
//
// # Accuracy
//
// Arrivals follow an absolute schedule, so lateness does not accumulate. On
// Linux, the last two milliseconds of a wait use a timerfd (Go's own timers
// have a resolution of a millisecond there) and the last 80 microseconds yield
// in a loop. [Counters] reports the remaining error.
//
// For programs that cannot use this package there is [Link.Proxy], with the
// same code.
package link
