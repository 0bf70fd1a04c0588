// Package connlimit decides which connections a worker accepts, over all its
// listeners. A connection is a stranger's until its peer has authenticated.
// Strangers have a small part of the connections and a short time, and each
// address has a limited part of theirs. When there is no room the oldest
// stranger is evicted, so a peer that authenticates at once always gets in. An
// authenticated identity has at most half of the connections that the others
// leave.
package connlimit
