package shared

import (
	"bytes"
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pair is two ends of memory in one process, which map it twice.
func pair(t *testing.T) (maker, taker *Memory) {
	t.Helper()
	offer, err := Listen()
	require.NoError(t, err)
	maker, proof, err := Present(t.Context(), offer.Name(), MinRing)
	require.NoError(t, err)
	taker = offer.Close(proof)
	require.NotNil(t, taker)
	t.Cleanup(func() {
		maker.Close()
		taker.Close()
	})
	return maker, taker
}

// TestRings sends bytes of random lengths both ways at once, many times the size of
// a ring.
func TestRings(t *testing.T) {
	a, b := pair(t)
	require.Equal(t, MinRing, b.Ring())
	r := rand.New(rand.NewPCG(1, 2))
	var sent [2]bytes.Buffer
	for range 200 {
		for i, ends := range [][2]*Memory{{a, b}, {b, a}} {
			room, err := ends[0].Room()
			require.NoError(t, err)
			require.Equal(t, MinRing-sent[i].Len(), room)
			if n := r.IntN(MinRing / 2); n <= room {
				data := make([]byte, n)
				for k := range data {
					data[k] = byte(r.Uint32())
				}
				require.NoError(t, ends[0].Write(data))
				sent[i].Write(data)
			}
			if r.IntN(5) == 0 {
				n := r.IntN(sent[i].Len() + 1)
				sent[i].Next(n)
				require.NoError(t, ends[1].Skip(uint64(n)))
				continue
			}
			got := make([]byte, r.IntN(sent[i].Len()+1))
			require.NoError(t, ends[1].Read(got))
			require.True(t, bytes.Equal(sent[i].Next(len(got)), got))
		}
	}
}

// TestProof gives an offer a nonce that is not in the memory: the memory is not
// used, and freed.
func TestProof(t *testing.T) {
	for _, wrong := range [][]byte{nil, make([]byte, nonceBytes), []byte("short")} {
		offer, err := Listen()
		require.NoError(t, err)
		maker, proof, err := Present(t.Context(), offer.Name(), MinRing)
		require.NoError(t, err)
		require.Len(t, proof, nonceBytes)
		require.Nil(t, offer.Close(wrong))
		maker.Close()
	}
	require.Zero(t, mappings(t))
}

// mappings is how often this process maps memory of this package.
func mappings(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return strings.Count(string(maps), "/memfd:genie")
}

// descriptors is how many descriptors of memory of that name this process has.
func descriptors(t *testing.T, name string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, e := range entries {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(to, "/memfd:"+name+" ") {
			n++
		}
	}
	return n
}

// TestFreed closes both ends, in the middle of what the other does: later calls
// are errors, and neither a mapping nor a descriptor is left.
func TestFreed(t *testing.T) {
	a, b := pair(t)
	require.Equal(t, 2, mappings(t))
	require.Zero(t, descriptors(t, "genie"))
	ended := make(chan error)
	go func() {
		buf := make([]byte, MinRing/4)
		for {
			if err := a.Write(buf); err != nil {
				ended <- err
				return
			}
		}
	}()
	require.NoError(t, b.Read(make([]byte, 10)))
	a.Close()
	a.Close()
	require.ErrorIs(t, <-ended, errClosed)
	_, err := a.Room()
	require.ErrorIs(t, err, errClosed)
	require.ErrorIs(t, a.Read(make([]byte, 1)), errClosed)
	require.ErrorIs(t, a.Skip(1), errClosed)
	require.NoError(t, b.Write(make([]byte, 10))) // which nobody reads
	b.Close()
	require.Zero(t, mappings(t))
}

// TestLies has a peer say that it took more than was put, or take back what it
// said.
func TestLies(t *testing.T) {
	a, b := pair(t)
	says := func(n uint64) { b.counter(b.inTaken).Store(n) }
	require.NoError(t, a.Write(make([]byte, 100)))
	room := func() error {
		_, err := a.Room()
		return err
	}
	require.NoError(t, room())
	for _, lie := range []uint64{101, 1 << 40, 1<<64 - 1, 1 << 63} {
		says(lie)
		require.ErrorIs(t, room(), errBroken, "%d", lie)
	}
	says(100)
	require.NoError(t, room())
	require.NoError(t, a.Write(make([]byte, MinRing)))
	says(99)
	require.ErrorIs(t, room(), errBroken)
}

// TestChangingBytes has a peer write to what is being read: what was read is a
// copy, which does not change any more.
func TestChangingBytes(t *testing.T) {
	a, b := pair(t)
	data := bytes.Repeat([]byte{1}, 1000)
	require.NoError(t, a.Write(data))
	got := make([]byte, len(data))
	require.NoError(t, b.Read(got))
	copy(a.mem[a.out:], bytes.Repeat([]byte{2}, len(data)))
	require.Equal(t, data, got)
}

// caller connects to an offer as a process that is not one of ours.
func caller(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: "@" + name})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	return c
}

func memfd(t *testing.T, n int64, with int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("strange", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(t, unix.Ftruncate(fd, n))
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, with)
	require.NoError(t, err)
	return fd
}

// TestHostileMemory hands an offer what is no memory of ours: it is refused and
// closed, and the offer still takes what comes after it.
func TestHostileMemory(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	require.NoError(t, file.Truncate(Size(MinRing)))
	good := Size(MinRing)
	cases := map[string][]int{
		"nothing":            nil,
		"not sealed":         {memfd(t, good, 0)},
		"can be cut short":   {memfd(t, good, unix.F_SEAL_GROW|unix.F_SEAL_SEAL)},
		"seals may change":   {memfd(t, good, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK)},
		"cannot be written":  {memfd(t, good, seals|unix.F_SEAL_FUTURE_WRITE)},
		"empty":              {memfd(t, 0, seals)},
		"too small":          {memfd(t, Size(MinRing/2), seals)},
		"too large":          {memfd(t, Size(2*MaxRing), seals)},
		"huge":               {memfd(t, 1<<45, seals)},
		"not a power of two": {memfd(t, Size(3<<20), seals)},
		"one byte more":      {memfd(t, good+1, seals)},
		"a file":             {int(file.Fd())},
		"two":                {memfd(t, good, seals), memfd(t, good, seals)},
		"many":               {memfd(t, good, seals), memfd(t, good, seals), memfd(t, good, seals), memfd(t, good, seals)},
	}
	strange := descriptors(t, "strange")
	require.Equal(t, 16, strange)
	for name, fds := range cases {
		t.Run(name, func(t *testing.T) {
			offer, err := Listen()
			require.NoError(t, err)
			c := caller(t, offer.Name())
			var rights []byte
			if fds != nil {
				rights = unix.UnixRights(fds...)
			}
			_, _, err = c.WriteMsgUnix([]byte{1}, rights, nil)
			require.NoError(t, err)
			_, err = c.Read(make([]byte, 1))
			require.Error(t, err, "it was taken")
			maker, proof, err := Present(t.Context(), offer.Name(), MinRing)
			require.NoError(t, err)
			taker := offer.Close(proof)
			require.NotNil(t, taker)
			taker.Close()
			maker.Close()
		})
	}
	require.Zero(t, mappings(t))
	require.Equal(t, strange, descriptors(t, "strange"), "descriptors that came are still open")
}

// TestManyCallers: an offer does not listen to callers for ever.
func TestManyCallers(t *testing.T) {
	offer, err := Listen()
	require.NoError(t, err)
	for range maxCallers {
		c := caller(t, offer.Name())
		require.NoError(t, c.CloseWrite())
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
	}
	offer.done.Wait() // it has given up
	_, _, err = Present(t.Context(), offer.Name(), MinRing)
	require.ErrorIs(t, err, errUnavailable)
	require.Nil(t, offer.Close(nil))
}

// TestNames: an end that is told a name connects to nothing but an offer.
func TestNames(t *testing.T) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@somebody-else"})
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	for _, name := range []string{
		"", "somebody-else", "@somebody-else", "/tmp/socket", prefix, prefix + "../../x", prefix + strings.Repeat("g", 32),
		prefix + strings.Repeat("0", 31), prefix + strings.Repeat("0", 34), "x" + prefix + strings.Repeat("0", 32), prefix + strings.Repeat("0", 1<<16),
	} {
		_, _, err := Present(t.Context(), name, MinRing)
		require.ErrorIs(t, err, errUnavailable, "%.40q", name)
		require.ErrorContains(t, err, "is none", "%.40q", name)
	}
	_, _, err = Present(t.Context(), prefix+strings.Repeat("0", 32), MinRing)
	require.ErrorIs(t, err, errUnavailable)
	for _, n := range []int{0, 1, MinRing / 2, MinRing + 1, 2 * MaxRing} {
		_, _, err = Present(t.Context(), prefix+strings.Repeat("0", 32), n)
		require.ErrorIs(t, err, errUnavailable, "%d", n)
	}
}

// TestHostileOffer has an offer answer with what it did not read in the memory, or
// with nothing until the time is over.
func TestHostileOffer(t *testing.T) {
	for name, answer := range map[string]func(c *net.UnixConn){
		"other nonce": func(c *net.UnixConn) { _, _ = c.Write(make([]byte, nonceBytes)) },
		"short":       func(c *net.UnixConn) { _, _ = c.Write(make([]byte, 5)) },
		"nothing":     func(*net.UnixConn) {},
	} {
		t.Run(name, func(t *testing.T) {
			offer := prefix + hex.EncodeToString(make([]byte, nameBytes))
			l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@" + offer})
			require.NoError(t, err)
			defer func() { _ = l.Close() }()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c, err := l.AcceptUnix()
				if err != nil {
					return
				}
				defer func() { _ = c.Close() }()
				answer(c)
			}()
			_, _, err = Present(t.Context(), offer, MinRing)
			require.ErrorIs(t, err, errUnavailable)
			<-done
		})
	}
	t.Run("silent", func(t *testing.T) {
		offer := prefix + hex.EncodeToString(make([]byte, nameBytes))
		l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@" + offer})
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, _, err = Present(ctx, offer, MinRing)
		require.ErrorIs(t, err, errUnavailable)
	})
	require.Zero(t, mappings(t))
	require.Zero(t, descriptors(t, "genie"))
}

// TestSealed: nobody can cut the memory short, its maker included.
func TestSealed(t *testing.T) {
	fd, m, err := makeMemory(MinRing)
	require.NoError(t, err)
	defer func() { _ = unix.Close(fd) }()
	defer m.Close()
	require.ErrorIs(t, unix.Ftruncate(fd, 0), unix.EPERM)
	require.ErrorIs(t, unix.Ftruncate(fd, 1<<30), unix.EPERM)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
	require.ErrorIs(t, err, unix.EPERM)
	require.NoError(t, m.Write(make([]byte, 100)))
	require.NoError(t, unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, Size(MinRing)))
	_, err = m.Room() // its pages are zeros now, and no fault
	require.NoError(t, err)
}

// victimEnv names the offer that a child process answers before it is killed.
const victimEnv = "GENIE_TEST_MEMORY"

// victim hands memory over, writes into it for ever, and is killed.
func victim(name string) {
	m, proof, err := Present(context.Background(), name, MinRing)
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString(hex.EncodeToString(proof) + "\n")
	for {
		_ = m.Write(make([]byte, MinRing))
	}
}

// TestKilledPeer kills a process in the middle of a write: this one reads and
// writes the memory as before, and frees it.
func TestKilledPeer(t *testing.T) {
	offer, err := Listen()
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), exe)
	child.Env = append(os.Environ(), victimEnv+"="+offer.Name())
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line := make([]byte, 2*nonceBytes)
	for n := 0; n < len(line); {
		k, err := out.Read(line[n:])
		require.NoError(t, err)
		n += k
	}
	proof, err := hex.DecodeString(string(line))
	require.NoError(t, err)
	m := offer.Close(proof)
	require.NotNil(t, m)
	buf := make([]byte, MinRing)
	require.NoError(t, m.Read(buf))
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	require.NoError(t, m.Read(buf))
	require.NoError(t, m.Write(buf))
	m.Close()
	require.Zero(t, mappings(t))
}
