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
// Each end shapes what it writes, so a round trip is delayed by half of the
// round-trip time at each end. A direction of a [Link] is one token bucket,
// shared by all its connections, which take turns:
//
//   - A byte leaves when the bucket has let it through: at [Profile].Rate, after
//     an idle moment [Profile].Burst bytes at once.
//   - It arrives half of [Profile].RTT after it left, plus a jitter that is drawn
//     from the seed. Jitter never changes the order of bytes.
//   - The delay does not limit what is under way: a link of 1 Gbit/s and 20 ms
//     carries 1 Gbit/s.
//   - A write returns when a queue has taken the bytes, as with a socket. The
//     queue holds what is under way (rate times round-trip time), the burst, and
//     a send buffer of 1 MiB or two milliseconds, whichever is more; then writes
//     wait. Write deadlines bound that waiting, as they do with a socket.
//   - A dialled connection is open one round trip after the dialling began.
//   - Close returns at once; what was written is delivered on schedule first, and
//     the peer sees the end after it.
//
// The rate is that of the application's bytes. Headers, acknowledgements, slow
// start and loss of a real network are not modelled.
//
// # Accuracy
//
// Arrivals are an absolute schedule, so lateness does not add up. On Linux the
// last two milliseconds are waited for with a timerfd (Go's own timers are good
// to a millisecond there) and the last 80 microseconds by yielding in a loop.
// What remains is in [Counters].
//
// For programs that are not ours there is [Link.Proxy], with the same code.
package link
