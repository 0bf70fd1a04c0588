// Package fleet finds workers: who is there, and what they say of themselves.
//
// A [Directory] holds small facts under names, for as long as somebody renews them.
// Workers [Join] it and clients [Follow] it:
//
//	dir := fleet.NewMemory()                          // in this process
//	dir, err := fleet.OpenFolder("/run/genie/fleet")  // files, for the processes of one machine
//	dir, err := natskv.Open(ctx, "nats://host:4222")  // package fleet/natskv: NATS JetStream
//
//	j, err := fleet.Join(dir, func() fleet.Facts { … }, fleet.JoinOptions{})
//	f, err := fleet.Follow(ctx, dir, fleet.FollowOptions{})
//	d, err := f.Route(policy, request)
//
// What a directory holds can be said anew at any time: addresses, speeds, loads,
// filters of hashes. It holds no tensors, tokens, prompts or keys. When it is gone,
// followers keep the last table, and direct connections decide which workers live.
//
// What others wrote there is believed as little as what a peer sends: entries have a
// bounded size, their number is bounded, and one that is wrong is left out
// ([Follower.Refused]). An entry can send a client to a wrong address, so the
// certificate that a worker presents there is what makes it one's own.
package fleet
