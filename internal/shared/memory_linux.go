package shared

import (
	"crypto/rand"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// seals are what nobody may do to the memory, its maker included: cut it short,
// make it longer, change the seals.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// overflow is the user that stands for all users of other namespaces. Two of
// them are not known to be one.
const overflow = 65534

// makeMemory makes sealed memory with rings of n bytes. It takes pages as they
// are used.
func makeMemory(n int) (fd int, m *Memory, err error) {
	fd, err = unix.MemfdCreate("genie", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, nil, unavailable("memfd_create", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if err := unix.Ftruncate(fd, Size(n)); err != nil {
		return -1, nil, unavailable("ftruncate", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return -1, nil, unavailable("seals", err)
	}
	mem, err := mapped(fd, int(Size(n)))
	if err != nil {
		return -1, nil, err
	}
	_, _ = rand.Read(mem[makerNonce : makerNonce+nonceBytes])
	return fd, newMemory(mem, n, true), nil
}

// takeMemory maps memory that a peer made, if nobody can cut it short and its
// size is one of ours. It takes over fd.
func takeMemory(fd int) (*Memory, error) {
	defer func() { _ = unix.Close(fd) }()
	got, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, unavailable("seals", err)
	}
	if got&seals != seals || got&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		return nil, fmt.Errorf("%w: it has the seals %#x", errUnavailable, got)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, unavailable("fstat", err)
	}
	n := ringOf(st.Size)
	if n == 0 {
		return nil, fmt.Errorf("%w: it has %d bytes", errUnavailable, st.Size)
	}
	mem, err := mapped(fd, int(Size(n)))
	if err != nil {
		return nil, err
	}
	_, _ = rand.Read(mem[takerNonce : takerNonce+nonceBytes])
	return newMemory(mem, n, false), nil
}

func mapped(fd, n int) ([]byte, error) {
	mem, err := unix.Mmap(fd, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, unavailable("mmap", err)
	}
	return mem, nil
}

func unmap(mem []byte) { _ = unix.Munmap(mem) }

func unavailable(call string, err error) error {
	return fmt.Errorf("%w: %w", errUnavailable, os.NewSyscallError(call, err))
}

// nonce copies one of the two nonces.
func (m *Memory) nonce(at int) (n [nonceBytes]byte) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mem != nil {
		copy(n[:], m.mem[at:])
	}
	return n
}
