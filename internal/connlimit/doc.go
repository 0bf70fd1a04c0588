// Package connlimit says who may be connected to a worker, over all its
// listeners. A connection is a stranger's until its peer has said who it is.
// Strangers have a small part of the connections, an address of theirs a part of
// that, and a short time; where there is no room the oldest of them goes, so that
// a peer that says who it is at once always gets in. Of those that are known an
// identity has at most half of what the others leave.
package connlimit
