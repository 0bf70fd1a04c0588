package conformance

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/transport"
)

// patience is how long resources may take to be freed after a test.
const patience = 10 * time.Second

// leaks is the resources that were in use before a test.
type leaks struct {
	goroutines  goleak.Option
	descriptors int // -1 where the system does not report it
}

func countLeaks(t *testing.T) leaks {
	t.Helper()
	return leaks{goleak.IgnoreCurrent(), descriptors()}
}

// check verifies that a test has left neither goroutines nor descriptors. It is
// called after the test, including its cleanup functions.
func (l leaks) check(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, goleak.Find(l.goroutines), "goroutines after %s", name)
	if l.descriptors >= 0 {
		require.Eventually(t, func() bool { return descriptors() <= l.descriptors }, patience, time.Millisecond,
			"descriptors after %s: more than %d", name, l.descriptors)
	}
}

// descriptors counts this process's open files and sockets.
func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(list)
}

// checkHeld verifies that the sessions of a closed executor hold nothing any
// more: by its own statistics, if it still gives any, and by those of its other
// end.
func (f *fixture) checkHeld(ex transport.Executor) {
	f.Helper()
	if st, err := ex.Stats(f.ctx); err == nil {
		require.Zero(f, st.Sessions, "sessions of a closed executor")
		require.Zero(f, st.StateBytes, "carried state of a closed executor")
	}
	if f.opts.Held == nil {
		return
	}
	require.Eventually(f, func() bool {
		for _, n := range f.opts.Held(f.T, ex) {
			if n != 0 {
				return false
			}
		}
		return true
	}, patience, time.Millisecond, "%v", f.opts.Held(f.T, ex))
}
