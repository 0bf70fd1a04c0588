package shared

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// prefix begins the name of an offer: whoever is told one connects to no
	// other socket.
	prefix    = "genie-memory-"
	nameBytes = 16
	// HandOver bounds the time in which the memory is handed over.
	HandOver = time.Second
	// maxCallers bounds the processes of this user that an offer listens to.
	maxCallers = 8
)

// Offer is an end that waits for the memory of its peer.
type Offer struct {
	name string
	l    *net.UnixListener
	done sync.WaitGroup
	got  *Memory // the goroutine's until done
}

// Listen begins an offer. It must be closed.
func Listen() (*Offer, error) {
	if os.Geteuid() == overflow {
		return nil, fmt.Errorf("%w: the user of this process is the one that stands for unknown users", errUnavailable)
	}
	var secret [nameBytes]byte
	_, _ = rand.Read(secret[:])
	name := prefix + hex.EncodeToString(secret[:])
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: "@" + name})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	o := &Offer{name: name, l: l}
	o.done.Go(o.accept)
	return o, nil
}

// Name is what the peer is told.
func (o *Offer) Name() string { return o.name }

// accept takes the first memory that is in order.
func (o *Offer) accept() {
	for range maxCallers {
		c, err := o.l.AcceptUnix()
		if err != nil {
			return
		}
		m, err := receive(c)
		_ = c.Close()
		if err == nil {
			o.got = m
			return
		}
	}
}

// Close ends the offer. The result is the memory if proof, which the peer sent
// over the connection, shows that it maps the same; nil otherwise.
func (o *Offer) Close(proof []byte) *Memory {
	_ = o.l.Close()
	o.done.Wait()
	if o.got == nil {
		return nil
	}
	want := o.got.nonce(takerNonce)
	if subtle.ConstantTimeCompare(want[:], proof) != 1 {
		o.got.Close()
		return nil
	}
	return o.got
}

// receive takes memory from a caller and tells it the nonce that is in it.
func receive(c *net.UnixConn) (*Memory, error) {
	if err := c.SetDeadline(time.Now().Add(HandOver)); err != nil {
		return nil, err
	}
	if err := sameUser(c); err != nil {
		return nil, err
	}
	fd, err := receiveFD(c)
	if err != nil {
		return nil, err
	}
	m, err := takeMemory(fd)
	if err != nil {
		return nil, err
	}
	nonce := m.nonce(makerNonce)
	if _, err := c.Write(nonce[:]); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// receiveFD receives one descriptor, and closes whatever else comes.
func receiveFD(c *net.UnixConn) (int, error) {
	var b [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := c.ReadMsgUnix(b[:], oob)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return -1, err
	}
	var fds []int
	for _, m := range messages {
		if got, err := unix.ParseUnixRights(&m); err == nil {
			fds = append(fds, got...)
		}
	}
	if len(fds) == 1 {
		return fds[0], nil
	}
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
	return -1, fmt.Errorf("%w: %d descriptors came", errUnavailable, len(fds))
}

// Present makes memory with rings of n bytes and hands it to the end that
// offered name. proof is what that end wants to be told over the connection.
func Present(ctx context.Context, name string, n int) (m *Memory, proof []byte, err error) {
	if ringOf(Size(n)) != n {
		return nil, nil, fmt.Errorf("%w: a ring of %d bytes", errUnavailable, n)
	}
	if !named(name) || os.Geteuid() == overflow {
		return nil, nil, fmt.Errorf("%w: the offer %q is none", errUnavailable, name)
	}
	ctx, cancel := context.WithTimeout(ctx, HandOver)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", "@"+name)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("%w: %T", errUnavailable, conn)
	}
	if err := sameUser(c); err != nil {
		return nil, nil, err
	}
	fd, m, err := makeMemory(n)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	if proof, err = hand(c, fd, m); err != nil {
		m.Close()
		return nil, nil, err
	}
	return m, proof, nil
}

// hand sends the memory and verifies that the other end has read its nonce.
func hand(c *net.UnixConn, fd int, m *Memory) (proof []byte, err error) {
	if _, _, err := c.WriteMsgUnix([]byte{1}, unix.UnixRights(fd), nil); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	var said [nonceBytes]byte
	for n := 0; n < len(said); {
		k, err := c.Read(said[n:])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUnavailable, err)
		}
		n += k
	}
	want := m.nonce(makerNonce)
	if subtle.ConstantTimeCompare(want[:], said[:]) != 1 {
		return nil, fmt.Errorf("%w: the other end maps other memory", errUnavailable)
	}
	other := m.nonce(takerNonce)
	return other[:], nil
}

// named reports whether name is one of an offer.
func named(name string) bool {
	secret, ok := strings.CutPrefix(name, prefix)
	if !ok || len(secret) != 2*nameBytes {
		return false
	}
	_, err := hex.DecodeString(secret)
	return err == nil
}

// sameUser verifies that the process at the other end has the user of this one.
// The system says so, not the peer.
func sameUser(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("%w: %w", errUnavailable, err)
	}
	if own := os.Geteuid(); int(peer.Uid) != own {
		return fmt.Errorf("%w: the other end has user %d, this one %d", errUnavailable, peer.Uid, own)
	}
	return nil
}
