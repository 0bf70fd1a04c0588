package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of directories.
var (
	// ErrDirectory is a directory that cannot be reached, or does not answer.
	ErrDirectory = errors.New("genie: the directory cannot be reached")
	// ErrEntry is an entry of a directory that cannot be: too large, under a wrong
	// name, or not what it should hold.
	ErrEntry = errors.New("genie: an entry of the directory cannot be")
)

const (
	// MaxEntry is the most bytes of one entry.
	MaxEntry = 192 << 10
	// MaxEntries is the most entries that a watch shows. Each worker has two.
	MaxEntries = 1 << 14
	// maxKey bounds a name.
	maxKey = 64
)

// Directory holds entries: small values under names. Implementations are safe for
// concurrent use. A call returns when its context ends.
type Directory interface {
	// Put writes an entry. It may be gone when nobody has written it again for the
	// lease, and is not gone before.
	Put(ctx context.Context, key string, value []byte, lease time.Duration) error
	// Delete removes an entry; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// Watch shows all entries and then their changes.
	Watch(ctx context.Context) (Watch, error)
	// Close ends what the directory holds in this process. Entries stay until their
	// leases end.
	Close() error
}

// Watch shows the changes of a directory, to one goroutine.
type Watch interface {
	// Next waits for a change. Of several changes of one entry it may show the last
	// alone. An error is final.
	Next(ctx context.Context) (Change, error)
	// Close ends the watch.
	Close() error
}

// Kind is what happened.
type Kind uint8

// Kinds of changes.
const (
	// Written is an entry that is new, changed or renewed.
	Written Kind = iota
	// Deleted is an entry that is gone.
	Deleted
	// Synced says that everything that the directory holds has been shown. It
	// follows the first entries, and those after a [Lost].
	Synced
	// Lost says that the directory cannot be reached: entries are neither renewed nor
	// deleted, which says nothing about workers. The watch tries again by itself.
	Lost
)

// String is the name.
func (k Kind) String() string {
	switch k {
	case Written:
		return "written"
	case Deleted:
		return "deleted"
	case Synced:
		return "synced"
	case Lost:
		return "lost"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// Change is a change of a directory.
type Change struct {
	Kind  Kind
	Key   string
	Value []byte // not to be changed
}

// CheckEntry finds names and sizes that no directory takes; they are [ErrEntry].
// Implementations call it for what they are given and for what they read.
func CheckEntry(key string, value []byte) error {
	if len(value) > MaxEntry {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrEntry, len(value), MaxEntry)
	}
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("%w: a name of %d bytes", ErrEntry, len(key))
	}
	for i := range len(key) {
		c := key[i]
		ok := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' && i > 0 || c == '-'
		if !ok {
			return fmt.Errorf("%w: the name %q", ErrEntry, key)
		}
	}
	return nil
}
