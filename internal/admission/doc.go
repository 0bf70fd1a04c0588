// Package admission decides which of many runs may start now, and which may
// wait.
//
// A [Scheduler] runs a bounded number of runs at once. It shares their time
// fairly, first between owners and then between the flows of one owner, by fair
// queueing in virtual time at both levels, over measured time. A run starts,
// virtually, where its flow's last one ended, but not before the start of the
// last admitted run (Goyal, Vin, Cheng: "Start-Time Fair Queueing", IEEE/ACM
// Transactions on Networking 5(5), 1997), so idle flows accumulate no credit.
// The next run is the one with the earliest virtual end, assuming that it takes
// as long as its flow's recent runs: short runs go before long ones of owners
// that have been served as much. A free place never stays empty while a run
// waits. A run yields when it asks whether it should ([Ticket.Yield]): to a
// much shorter run, and, after it has run for a slice, to one of an owner that
// has been served less.
//
// A [Queue] bounds the waiting requests in total, and keeps room for owners
// with few waiting requests, whatever the others do.
//
// The package does no I/O and its clock is injected.
package admission
