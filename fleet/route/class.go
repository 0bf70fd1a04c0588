package route

import (
	"errors"
	"fmt"
)

// ErrClass is the name of a class that does not exist.
var ErrClass = errors.New("genie: no such class of requests")

// Class says what matters to a request.
type Class uint8

// Classes, the most urgent first. A worker runs a class before the ones behind it.
const (
	Interactive Class = iota // somebody waits for the first token
	Standard                 // the answer as a whole is waited for
	Batch                    // only the work of all requests together counts
	classes
)

// Classes is the number of classes.
const Classes = int(classes)

// String is the name.
func (c Class) String() string {
	switch c {
	case Interactive:
		return "interactive"
	case Standard:
		return "standard"
	case Batch:
		return "batch"
	default:
		return fmt.Sprintf("class %d", uint8(c))
	}
}

// ParseClass is the class of a name.
func ParseClass(name string) (Class, error) {
	for c := range classes {
		if c.String() == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("%w: %q, want interactive, standard or batch", ErrClass, name)
}
