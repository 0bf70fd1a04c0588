package link_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/genie-sdk/go/transport/link"
)

// Both ends of a link in one process: a round trip takes the round-trip time.
func Example() {
	profile, err := link.Parse("lan-1g-500us")
	if err != nil {
		fmt.Println(err)
		return
	}
	l := link.New(profile, 1)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	worker := l.Listener(inner)
	defer func() { _ = worker.Close() }()
	go func() {
		c, err := worker.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(c, c)
		_ = c.Close()
	}()

	c, err := l.Dialer(nil)(context.Background(), worker.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	start := time.Now()
	_, _ = c.Write([]byte("hello"))
	answer := make([]byte, 5)
	_, _ = io.ReadFull(c, answer)
	fmt.Println(string(answer), time.Since(start) >= profile.RTT)
	// Output: hello true
}

func ExampleProfile_OneWay() {
	p, err := link.Parse("lan-1g-500us")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.OneWay(64), p.OneWay(1<<20))
	// Output: 250µs 8.60584ms
}
