package natskv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/genie-sdk/go/fleet"
)

// errProtocol is a server that does not keep to the protocol or its bounds.
var errProtocol = errors.New("genie: the directory's server breaks the protocol")

const (
	maxLine    = 32 << 10 // of the protocol; INFO is the longest
	maxHeaders = 4 << 10
	maxMessage = fleet.MaxEntry + 64<<10 // answers of JetStream's API are messages too
)

// guardedConn checks what a server sends before the library parses it: that allocates
// what a message's line announces, however much that is, and lines without end.
type guardedConn struct {
	net.Conn

	first []byte // to be read before the connection
	line  []byte // of the protocol, so far
	skip  int    // bytes of a payload to pass on
	err   error
}

// Read implements [net.Conn].
func (c *guardedConn) Read(p []byte) (n int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	if len(c.first) > 0 {
		n = copy(p, c.first)
		c.first = c.first[n:]
	} else if n, err = c.Conn.Read(p); n == 0 {
		return n, err
	}
	if c.err = c.check(p[:n]); c.err != nil {
		return 0, c.err
	}
	return n, err
}

// check follows the protocol through the next bytes.
func (c *guardedConn) check(p []byte) error {
	for len(p) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(p))
			c.skip, p = c.skip-n, p[n:]
			continue
		}
		end := bytes.IndexByte(p, '\n')
		part := p
		if end >= 0 {
			part = p[:end+1]
		}
		if len(c.line)+len(part) > maxLine {
			return fmt.Errorf("%w: a line of more than %d bytes", errProtocol, maxLine)
		}
		c.line, p = append(c.line, part...), p[len(part):]
		if end < 0 {
			return nil
		}
		n, err := payload(c.line)
		if err != nil {
			return err
		}
		c.skip, c.line = n, c.line[:0]
	}
	return nil
}

// payload is the number of bytes that follow a line.
func payload(line []byte) (int, error) {
	verb, _, _ := bytes.Cut(line, []byte(" "))
	verb, _, _ = bytes.Cut(verb, []byte("\t"))
	if !bytes.EqualFold(verb, []byte("MSG")) && !bytes.EqualFold(verb, []byte("HMSG")) {
		return 0, nil
	}
	args := bytes.Fields(line)
	size := args[len(args)-1]
	n := 0
	for _, d := range size {
		if d < '0' || d > '9' {
			return 0, fmt.Errorf("%w: a message of %q bytes", errProtocol, size)
		}
		if n = n*10 + int(d-'0'); n > maxMessage {
			return 0, fmt.Errorf("%w: a message of more than %d bytes", errProtocol, maxMessage)
		}
	}
	return n + len("\r\n"), nil
}

// readLine reads one line and nothing behind it.
func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	var b [1]byte
	for len(line) < maxLine {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		if line = append(line, b[0]); b[0] == '\n' {
			return line, nil
		}
	}
	return nil, fmt.Errorf("%w: a line of more than %d bytes", errProtocol, maxLine)
}
