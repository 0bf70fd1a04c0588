// Package admission decides who of many may do a run now, and who may wait.
//
// A [Scheduler] lets a bounded number of runs go at once and is fair in the time
// that they take, first between owners and then between the flows of one owner.
// It is fair queueing in virtual time at both levels, over measured time. A run
// starts, virtually, where its flow's last one ended, but not before the start of
// the run that was let in last (Goyal, Vin, Cheng: "Start-Time Fair Queueing",
// IEEE/ACM Transactions on Networking 5(5), 1997): who was idle has saved up
// nothing. Next is the run that ends first virtually, if it takes what its flow's
// runs took lately, so that short runs go before long ones of others who have had
// as much. A free place never stays empty while somebody waits. A run gives
// way where it asks whether it should ([Ticket.Yield]): to a much shorter one, and,
// once it has gone for a slice, to one of an owner who has had less.
//
// A [Queue] bounds those who wait, in all, and leaves room for owners who have
// few waiting whatever the others do.
//
// The package does no I/O and its clock is injected.
package admission
