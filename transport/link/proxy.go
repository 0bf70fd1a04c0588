package link

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Proxy carries TCP connections over a link, for programs that accept neither a
// dialler nor a listener. It stands for both ends: what a program sends goes
// up, what the target answers goes down.
type Proxy struct {
	link     *Link
	target   string
	listener net.Listener
	stop     context.CancelFunc
	ctx      context.Context //nolint:containedctx // the proxy's own lifetime
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// Proxy listens on listen, such as "127.0.0.1:0", and carries every connection
// to target, a host and a port, with one dial per connection. If the target
// cannot be reached, the connection closes. The proxy ends with ctx or Close.
func (l *Link) Proxy(ctx context.Context, listen, target string) (*Proxy, error) {
	var lc net.ListenConfig
	inner, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	p := &Proxy{link: l, target: target, listener: inner, ctx: ctx, stop: stop, conns: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	p.running.Go(func() {
		<-ctx.Done()
		p.end()
	})
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() net.Addr { return p.listener.Addr() }

// Close ends the proxy and all connections, drops the bytes in flight, and
// waits until that is done.
func (p *Proxy) Close() error {
	p.stop()
	p.running.Wait()
	return nil
}

func (p *Proxy) end() {
	_ = p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		abort(c)
	}
}

// abort closes c without delivering the bytes in flight.
func abort(c net.Conn) {
	if s, ok := c.(*conn); ok {
		s.abort()
		return
	}
	_ = c.Close()
}

const acceptPause = 10 * time.Millisecond

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		switch {
		case err == nil:
			p.running.Go(func() { p.carry(c) })
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, or the client has gone
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(acceptPause):
			}
		}
	}
}

// carry joins one connection and its target until both directions have ended.
func (p *Proxy) carry(from net.Conn) {
	if !p.keep(from) {
		return
	}
	defer p.forget(from)
	to, err := p.link.Dialer(nil)(p.ctx, p.target)
	if err != nil {
		_ = from.Close()
		return
	}
	back := p.link.Worker(from)
	p.forget(from)
	if !p.keep(to) || !p.keep(back) {
		abort(to)
		abort(back)
		return
	}
	defer p.forget(to)
	defer p.forget(back)
	// An error in one direction ends both, or the other would wait for ever.
	both := func() {
		abort(to)
		abort(back)
	}
	up := make(chan struct{})
	go func() {
		defer close(up)
		join(to, from, both)
	}()
	join(back, to, both)
	<-up
	_ = to.Close()
	_ = back.Close()
	for _, c := range []net.Conn{to, back} {
		if s, ok := c.(*conn); ok {
			<-s.done // delivers the bytes already written
		}
	}
}

// join copies src to dst and then ends dst's writing.
func join(dst, src net.Conn, failed func()) {
	_, err := io.Copy(dst, src)
	if err == nil {
		err = dst.(closeWriter).CloseWrite()
	}
	if err != nil {
		failed()
	}
}

// keep registers c for closing; it reports whether the proxy is still open.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		abort(c)
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
