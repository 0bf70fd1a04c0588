// Package shared is memory that two processes of one user on one machine map,
// with a ring of bytes in each direction. A connection moves its large payloads
// through it instead of through the socket.
//
// The end that accepts connections makes the memory and hands it to the other
// over a socket of this machine ([Present]); the other end offers the name of
// that socket on the connection itself ([Listen]). Before either end uses the
// memory it has seen that the other maps the same: each wrote a nonce there
// that the other told it back, one over the connection and one over the socket.
//
// Whatever the peer writes into the memory is hostile and may change at any
// time. So neither end computes on it: [Memory.Read] copies out, and what
// is checked is the copy. Positions are the reader's and the writer's own and are
// not read from the memory, but for how much the peer says it has taken, which
// is held against what was put there. The memory is sealed, so that a peer
// cannot cut it short and make this process fault.
//
// Only Linux has what this needs. Elsewhere [Listen] is an error.
package shared
