package drivertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// order verifies that work in a stream is done in order, and that of two streams
// where an event orders it.
func order(t *testing.T, f *fixture) {
	const n, rounds = 5000, 20
	p := f.alloc(t, words(n, 0))
	second, err := f.NewStream()
	require.NoError(t, err)
	ready, err := f.NewEvent()
	require.NoError(t, err)
	back, err := f.NewEvent()
	require.NoError(t, err)
	for range rounds {
		require.NoError(t, f.launch(f.stream, p, n, 1))
		require.NoError(t, f.stream.Record(ready))
		require.NoError(t, second.WaitFor(ready))
		require.NoError(t, f.launch(second, p, n, 2))
		require.NoError(t, second.Record(back))
		require.NoError(t, f.stream.WaitFor(back))
	}
	require.Equal(t, words(n, 3*rounds), f.read(t, p, 4*n))
	require.NoError(t, second.Synchronize())
	require.NoError(t, second.Close())
	require.NoError(t, ready.Close())
	require.NoError(t, back.Close())
}

func events(t *testing.T, f *fixture) {
	begin, err := f.NewEvent()
	require.NoError(t, err)
	end, err := f.NewEvent()
	require.NoError(t, err)
	p := f.alloc(t, words(100, 0))
	require.NoError(t, f.stream.Record(begin))
	require.NoError(t, f.launch(f.stream, p, 100, 1))
	require.NoError(t, f.stream.Record(end))
	require.NoError(t, end.Synchronize())
	for _, e := range []driver.Event{begin, end} {
		done, err := e.Done()
		require.NoError(t, err)
		require.True(t, done)
	}
	took, err := end.Since(begin)
	require.NoError(t, err)
	require.GreaterOrEqual(t, took, time.Duration(0))
	require.NoError(t, begin.Close())
	require.NoError(t, end.Close())
}

// refusals verifies that what a driver refuses leaves the context as it was.
func refusals(t *testing.T, f *fixture) {
	_, err := f.Load([]byte("no code"))
	isError(t, err, false)
	_, err = f.Load(nil)
	isError(t, err, false)
	m, err := f.Load([]byte(addPTX))
	require.NoError(t, err)
	_, err = m.Function("subtract")
	isError(t, err, false)

	one, args := driver.Dim{X: 1, Y: 1, Z: 1}, make([]byte, 16)
	for name, err := range map[string]error{
		"threads":       f.stream.Launch(f.add, one, driver.Dim{X: 2048, Y: 1, Z: 1}, 0, args),
		"no threads":    f.stream.Launch(f.add, one, driver.Dim{}, 0, args),
		"no blocks":     f.stream.Launch(f.add, driver.Dim{X: 0, Y: 1, Z: 1}, one, 0, args),
		"shared memory": f.stream.Launch(f.add, one, one, 1<<20, args),
		"not allowed":   f.stream.Launch(f.add, one, one, 64<<10, args),
		"arguments":     f.stream.Launch(f.add, one, one, 0, nil),
		"allowed":       f.add.AllowShared(1 << 30),
	} {
		require.Error(t, err, name)
		isError(t, err, false)
	}
	require.NoError(t, f.add.AllowShared(64<<10))
	require.NoError(t, f.stream.Launch(f.add, one, one, 64<<10, args), "permitted by now; of no words")

	p := f.alloc(t, words(10, 0))
	require.NoError(t, f.launch(f.stream, p, 10, 1))
	require.Equal(t, words(10, 1), f.read(t, p, 40), "after refusals")
}

// lost verifies that an access outside memory loses the context, that closing it
// never fails, and that the next one in the same process works.
func lost(t *testing.T, d driver.Driver) {
	first, err := d.Open(0)
	require.NoError(t, err)
	f := &fixture{Context: first}
	f.stream, err = f.NewStream()
	require.NoError(t, err)
	m, err := f.Load([]byte(addPTX))
	require.NoError(t, err)
	f.add, err = m.Function("add")
	require.NoError(t, err)
	e, err := f.NewEvent()
	require.NoError(t, err)
	locked, err := f.AllocHost(100)
	require.NoError(t, err)
	require.NoError(t, f.launch(f.stream, 256, 1, 1), "a launch is asynchronous, or the test knows less")
	isError(t, f.stream.Synchronize(), true)
	isError(t, f.stream.Synchronize(), true)
	_, err = f.Alloc(100)
	isError(t, err, true)
	require.NoError(t, first.Close())

	// What it owned fails or is closed, and calls nothing.
	isError(t, f.stream.Synchronize(), true)
	_, err = f.Alloc(100)
	isError(t, err, true)
	require.NoError(t, f.stream.Close())
	require.NoError(t, e.Close())
	locked[0] = 1
	require.NoError(t, f.FreeHost(locked))
	require.NoError(t, first.Close())

	again := open(t, d)
	p := again.alloc(t, words(10, 0))
	require.NoError(t, again.launch(again.stream, p, 10, 1))
	require.Equal(t, words(10, 1), again.read(t, p, 40))
}
