package cluster

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
)

// A handle of a cluster is the member's handle with the member's number in the
// uppermost bits of the id, which executors count from one.
const memberShift = 52

// named is a member's handle as the cluster's.
func (x *Executor) named(member int, h transport.Handle) (transport.Handle, error) {
	if h.IsZero() {
		return h, nil
	}
	if h.ID>>memberShift != 0 {
		return h, x.failed(member, fmt.Errorf("%w: a value has the number %d, a cluster has room for %d", transport.ErrLimit, h.ID, uint64(1)<<memberShift))
	}
	h.ID |= uint64(member) << memberShift
	return h, nil
}

// whose is the inverse: the member that has the value, and its own handle. It is
// false for a handle that no member gave.
func (x *Executor) whose(h transport.Handle) (member int, own transport.Handle, ok bool) {
	member = int(h.ID >> memberShift)
	h.ID &= 1<<memberShift - 1
	return member, h, member < len(x.members)
}
