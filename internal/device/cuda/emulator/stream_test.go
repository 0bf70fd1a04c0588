package emulator_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
)

// Bounds of polling: it ends as soon as it can.
const (
	waitLong = time.Minute
	waitStep = time.Millisecond
)

// named requires an error of a name.
func named(t *testing.T, err error, name string) string {
	t.Helper()
	var e *driver.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, name, e.Name, e.Detail)
	return e.Detail
}

// second is one more stream of a machine's context.
func (m *machine) second() driver.Stream {
	m.t.Helper()
	s, err := m.c.NewStream()
	require.NoError(m.t, err)
	return s
}

func (m *machine) event() driver.Event {
	m.t.Helper()
	e, err := m.c.NewEvent()
	require.NoError(m.t, err)
	return e
}

// TestLateStreams: without a wait nothing has happened, so that a test finds
// each wait that is missing.
func TestLateStreams(t *testing.T) {
	m := open(t, emulator.Options{})
	p := m.put([]byte("some memory"))
	out := []byte("xxxxxxxxxxx")
	require.NoError(t, m.s.CopyOut(out, p))
	e := m.event()
	require.NoError(t, m.s.Record(e))
	require.Equal(t, bytes.Repeat([]byte{0xcb}, len(out)), out, "undefined until the copy is done")
	require.NoError(t, e.Synchronize())
	require.Equal(t, "some memory", string(out))

	// Polling makes progress too.
	require.NoError(t, m.s.CopyOut(out, p))
	require.Eventually(t, func() bool {
		done, err := m.s.Done()
		return err == nil && done
	}, waitLong, waitStep)
	require.Equal(t, "some memory", string(out))
}

// TestHostMemoryChanged: the process may not change memory that a queued copy
// reads.
func TestHostMemoryChanged(t *testing.T) {
	m := open(t, emulator.Options{})
	p := m.alloc(16)
	b, err := m.c.AllocHost(16)
	require.NoError(t, err)
	require.NoError(t, m.s.CopyIn(p, b))
	b[3]++
	named(t, m.s.Synchronize(), emulator.HostCopyRace)

	// A copy from memory that an earlier copy fills is in order.
	m = open(t, emulator.Options{})
	p, q := m.put([]byte("0123456789abcdef")), m.alloc(16)
	require.NoError(t, m.s.CopyOut(b, p))
	require.NoError(t, m.s.CopyIn(q, b))
	require.Equal(t, "0123456789abcdef", string(m.get(q, 16)))
}

// TestStreamOrder: work of two streams on the same memory needs an event between
// it, or a wait of the process.
func TestStreamOrder(t *testing.T) {
	ptx := fixture(t, "planted")
	for _, c := range []struct {
		name  string
		order func(m *machine, other driver.Stream)
		want  string
	}{
		{"none", func(*machine, driver.Stream) {}, emulator.DataRace},
		{"event", func(m *machine, other driver.Stream) {
			e := m.event()
			require.NoError(m.t, m.s.Record(e))
			require.NoError(m.t, other.WaitFor(e))
		}, ""},
		{"event of the process", func(m *machine, _ driver.Stream) {
			e := m.event()
			require.NoError(m.t, m.s.Record(e))
			require.NoError(m.t, e.Synchronize())
		}, ""},
		{"synchronize", func(m *machine, _ driver.Stream) { require.NoError(m.t, m.s.Synchronize()) }, ""},
		{"early event", func(m *machine, other driver.Stream) {
			e := m.event() // was never recorded: waits for nothing
			require.NoError(m.t, other.WaitFor(e))
		}, emulator.DataRace},
	} {
		for _, second := range []string{"copy", "launch", "fill"} {
			t.Run(c.name+" "+second, func(t *testing.T) {
				m := open(t, emulator.Options{Eager: true})
				x, y := m.put(words(64)), m.put(make([]byte, 256))
				f := m.function(ptx, "off_by_one_twin")
				other := m.second()
				require.NoError(t, m.s.Launch(f, line(1), line(64), 0, args(uint64(x), uint64(y), 64)))
				c.order(m, other)
				out := make([]byte, 256)
				switch second {
				case "copy":
					require.NoError(t, other.CopyOut(out, y))
				case "launch":
					require.NoError(t, other.Launch(f, line(1), line(64), 0, args(uint64(y), uint64(x), 64)))
				case "fill":
					require.NoError(t, other.Fill(y, 0, 256))
				}
				err := errors.Join(other.Synchronize(), m.s.Synchronize())
				if c.want == "" {
					require.NoError(t, err)
					return
				}
				named(t, err, c.want)
			})
		}
	}
}

// TestEventRecordedAgain: a stream waits for the record that was the last as it
// was told to, though the event has been recorded since, in itself.
func TestEventRecordedAgain(t *testing.T) {
	m := open(t, emulator.Options{})
	x, y := m.put([]byte("abcd")), m.alloc(4)
	other, e := m.second(), m.event()
	require.NoError(t, m.s.Copy(y, x, 4))
	require.NoError(t, m.s.Record(e))
	require.NoError(t, other.WaitFor(e))
	out := make([]byte, 4)
	require.NoError(t, other.CopyOut(out, y))
	require.NoError(t, other.Record(e))
	require.NoError(t, e.Synchronize())
	require.Equal(t, "abcd", string(out))
}

// TestCopies: copies stay within allocations and read only what was written.
func TestCopies(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *machine) error
		want string
	}{
		{"unwritten", func(m *machine) error { return m.s.CopyOut(make([]byte, 16), m.alloc(16)) }, emulator.UnwrittenRead},
		{"partly unwritten", func(m *machine) error {
			p := m.alloc(16)
			require.NoError(m.t, m.s.Fill(p, 1, 15))
			return m.s.CopyOut(make([]byte, 16), p)
		}, emulator.UnwrittenRead},
		{"moved unwritten", func(m *machine) error {
			p, q := m.alloc(16), m.put(make([]byte, 16))
			require.NoError(m.t, m.s.Fill(p, 1, 15))
			require.NoError(m.t, m.s.Copy(q, p, 16))
			return m.s.CopyOut(make([]byte, 16), q)
		}, emulator.UnwrittenRead},
		{"beyond", func(m *machine) error { return m.s.CopyIn(m.alloc(16)+1, make([]byte, 16)) }, emulator.IllegalAddress},
		{"before", func(m *machine) error { return m.s.Fill(m.alloc(16)-1, 0, 16) }, emulator.IllegalAddress},
		{"nowhere", func(m *machine) error { return m.s.Fill(5, 0, 16) }, emulator.IllegalAddress},
		{"freed", func(m *machine) error {
			p := m.alloc(16)
			require.NoError(m.t, m.s.Fill(p, 0, 16))
			require.NoError(m.t, m.c.Free(p)) // while work is queued that uses it
			return nil
		}, emulator.IllegalAddress},
		{"overlap", func(m *machine) error {
			p := m.put(make([]byte, 16))
			return m.s.Copy(p+4, p, 8)
		}, emulator.InvalidValue},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := open(t, emulator.Options{})
			require.NoError(t, c.do(m))
			named(t, m.s.Synchronize(), c.want)
		})
	}
	m := open(t, emulator.Options{})
	p, q := m.put([]byte("0123456789")), m.alloc(10)
	require.NoError(t, m.s.Copy(q, p+3, 7))
	require.NoError(t, m.s.Fill(q+7, 'x', 3))
	require.Equal(t, "3456789xxx", string(m.get(q, 10)))
}

// TestMemory: allocations count against the memory of their device, which the
// contexts share, and come back when they are freed or their context closes.
func TestMemory(t *testing.T) {
	m := open(t, emulator.Options{Memory: 1000})
	other := reopen(t, m.d)
	p := m.alloc(600)
	require.Zero(t, p%256)
	_, err := other.c.Alloc(401)
	require.ErrorIs(t, err, driver.ErrOutOfMemory)
	require.False(t, driver.IsSticky(err))
	other.alloc(400)
	free, total, err := m.c.MemInfo()
	require.NoError(t, err)
	require.Equal(t, []int64{0, 1000}, []int64{free, total})
	require.NoError(t, other.c.Close())
	require.NoError(t, m.c.Free(p))
	require.Error(t, m.c.Free(p), "freed twice")
	free, _, err = m.c.MemInfo()
	require.NoError(t, err)
	require.EqualValues(t, 1000, free)
	for _, n := range []int64{0, -1, 1001} {
		_, err = m.c.Alloc(n)
		require.Error(t, err)
	}
	b, err := m.c.AllocHost(10)
	require.NoError(t, err)
	require.NoError(t, m.c.FreeHost(b))
	require.Error(t, m.c.FreeHost(b))
}

// TestFaults: an injected fault fails the call that it names, and after a sticky
// one every call of the context fails, while a new context works.
func TestFaults(t *testing.T) {
	ptx := fixture(t, "planted")
	calls := map[string]struct {
		call emulator.Call
		do   func(m *machine, f driver.Function, p driver.Ptr) error
	}{
		"alloc":  {emulator.CallAlloc, func(m *machine, _ driver.Function, _ driver.Ptr) error { _, err := m.c.Alloc(1); return err }},
		"host":   {emulator.CallAllocHost, func(m *machine, _ driver.Function, _ driver.Ptr) error { _, err := m.c.AllocHost(1); return err }},
		"stream": {emulator.CallStream, func(m *machine, _ driver.Function, _ driver.Ptr) error { _, err := m.c.NewStream(); return err }},
		"event":  {emulator.CallEvent, func(m *machine, _ driver.Function, _ driver.Ptr) error { _, err := m.c.NewEvent(); return err }},
		"load":   {emulator.CallLoad, func(m *machine, _ driver.Function, _ driver.Ptr) error { _, err := m.c.Load([]byte(ptx)); return err }},
		"copy": {emulator.CallCopy, func(m *machine, _ driver.Function, p driver.Ptr) error {
			return errors.Join(m.s.Fill(p, 0, 4), m.s.Synchronize())
		}},
		"launch": {emulator.CallLaunch, func(m *machine, f driver.Function, p driver.Ptr) error {
			return errors.Join(m.s.Launch(f, line(1), line(64), 0, args(uint64(p), uint64(p), 0)), m.s.Synchronize())
		}},
		"synchronize": {emulator.CallSynchronize, func(m *machine, _ driver.Function, _ driver.Ptr) error { return m.s.Synchronize() }},
	}
	for name, c := range calls {
		for _, f := range []struct {
			name   string
			sticky bool
			late   bool
		}{{emulator.OutOfMemory, false, false}, {emulator.IllegalAddress, true, false}, {emulator.DeviceUnavailable, true, true}} {
			t.Run(name+" "+f.name, func(t *testing.T) {
				m := open(t, emulator.Options{})
				fn, p := m.function(ptx, "off_by_one_twin"), m.put(make([]byte, 4))
				want := emulator.NewError("cuTest", f.name, "planted", f.sticky)
				m.d.Inject(emulator.Fault{Call: c.call, After: 1, Err: want, Late: f.late})
				require.NoError(t, c.do(m, fn, p))
				err := c.do(m, fn, p)
				require.ErrorIs(t, err, want)
				require.Equal(t, f.name == emulator.OutOfMemory, errors.Is(err, driver.ErrOutOfMemory))
				if !f.sticky {
					require.NoError(t, c.do(m, fn, p))
					return
				}
				for other, c := range calls {
					require.ErrorIs(t, c.do(m, fn, p), want, other)
				}
				_, _, err = m.c.MemInfo()
				require.ErrorIs(t, err, want)
				require.NoError(t, m.c.Close())
				again := reopen(t, m.d)
				require.Equal(t, "abc", string(again.get(again.put([]byte("abc")), 3)))
			})
		}
	}
}

// TestSince: the time between events is known once both are done.
func TestSince(t *testing.T) {
	m := open(t, emulator.Options{})
	a, b := m.event(), m.event()
	_, err := b.Since(a)
	named(t, err, emulator.InvalidHandle)
	require.NoError(t, m.s.Record(a))
	require.NoError(t, m.s.Fill(m.alloc(100), 1, 100))
	require.NoError(t, m.s.Record(b))
	_, err = b.Since(a)
	named(t, err, emulator.NotReady)
	require.NoError(t, b.Synchronize())
	d, err := b.Since(a)
	require.NoError(t, err)
	require.Positive(t, d)
	require.NoError(t, errors.Join(a.Close(), b.Close(), m.s.Close()))
	require.Error(t, m.s.Fill(1, 1, 1), "the stream is closed")
}

// TestSteady: launches, copies and events allocate nothing once they were done
// before, so that a test of the device can count its own allocations.
func TestSteady(t *testing.T) {
	m := open(t, emulator.Options{Workers: 2})
	f := m.function(fixture(t, "planted"), "missing_second_barrier_twin")
	x, y := m.put(words(1024)), m.put(make([]byte, 1024))
	in, out := make([]byte, 256), make([]byte, 256)
	e, a := m.event(), args(uint64(x), uint64(y), 8)
	other := m.second()
	step := func() {
		err := errors.Join(m.s.CopyIn(x, in), m.s.Record(e), other.WaitFor(e), other.Launch(f, line(1), line(64), 0, a),
			other.CopyOut(out, y), other.Synchronize())
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		step()
	}
	require.Less(t, testing.AllocsPerRun(200, step), 1.0)
}
