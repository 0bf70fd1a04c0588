package link

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// passed is an end of a connection over a link that does not shape: it only
// counts.
type passed struct {
	net.Conn
	d *direction
}

func (c *passed) counted(n int64) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	c.d.count.Written += n
	c.d.count.Delivered += n
}

// Write implements [net.Conn].
func (c *passed) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.counted(int64(n))
	return n, err
}

// WriteBuffers writes all of v, in one system call where possible.
func (c *passed) WriteBuffers(v *net.Buffers) (int64, error) {
	n, err := v.WriteTo(c.Conn)
	c.counted(n)
	return n, err
}

// ReadFrom lets the connection below copy from r in its own way.
func (c *passed) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.Conn, r)
	c.counted(n)
	return n, err
}

// CloseWrite ends writing.
func (c *passed) CloseWrite() error {
	if w, ok := c.Conn.(closeWriter); ok {
		return w.CloseWrite()
	}
	return fmt.Errorf("half-close: %w", errors.ErrUnsupported)
}
