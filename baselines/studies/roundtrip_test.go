package studies_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/micro"
)

// envEcho marks a process that answers raw round trips.
const envEcho = "GENIE_BASELINES_ECHO"

// The bytes of a remote run of micro-upload-1KiB in both directions, including
// control messages. A raw round trip moves the same number.
const (
	rawRequest = 1100
	rawAnswer  = 128
)

// BenchmarkRoundTrip measures a remote run that moves 1 KiB and a raw round
// trip of a TCP connection that moves as much, both to a separate process on
// loopback. round-trips/op is the ratio of the two, measured alternately. It
// also measures the raw round trip between two goroutines of one process, which
// need not wake another processor.
func BenchmarkRoundTrip(b *testing.B) {
	raw := startEcho(b)
	for _, e := range []struct {
		peer string
		*echo
	}{{"process", raw}, {"goroutine", startEchoHere(b)}} {
		b.Run(benchname.Of("round-trip", "raw", "with="+e.peer), func(b *testing.B) {
			for b.Loop() {
				e.roundTrip(b)
			}
		})
	}
	for _, base := range []baselines.Baseline{baselines.Full(), baselines.FullRPC()} {
		b.Run(benchname.Of("round-trip", base.Name), func(b *testing.B) { runBesideRaw(b, base, raw) })
	}
}

// runBesideRaw times runs, and after each hundred of them a hundred raw round
// trips, which are not part of ns/op. It uses the median of both: the machine
// may have other work.
func runBesideRaw(b *testing.B, base baselines.Baseline, raw *echo) {
	const turn = 100
	ctx := context.Background()
	c, err := baselines.Open(ctx, baselines.Spec{Workload: upload(b), Baseline: base})
	require.NoError(b, err)
	defer func() { require.NoError(b, c.Close()) }()
	var runs, raws []time.Duration
	for b.Loop() {
		begin := time.Now()
		_, err := c.Run(ctx)
		runs = append(runs, time.Since(begin))
		require.NoError(b, err)
		if len(runs)%turn != 0 {
			continue
		}
		for range turn {
			begin := time.Now()
			raw.roundTrip(b)
			raws = append(raws, time.Since(begin))
		}
	}
	run := middle(runs)
	b.ReportMetric(run, "ns/op")
	if len(raws) > 0 {
		b.ReportMetric(run/middle(raws), "round-trips/op")
	}
}

// middle is the median, in nanoseconds.
func middle(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Nanoseconds())
}

// upload is the workload that sends 1 KiB and receives almost nothing.
func upload(b *testing.B) workloads.Workload {
	b.Helper()
	scale, err := workloads.ScaleFromEnv()
	require.NoError(b, err)
	all, err := baselines.Workloads(testdata, micro.Name, scale)
	require.NoError(b, err)
	for _, w := range all {
		if w.ID().Variant == "upload-1KiB" {
			return w
		}
	}
	b.Fatal("micro has no upload of 1 KiB")
	return nil
}

// echo is a connection to a process that answers raw round trips.
type echo struct {
	conn net.Conn
	buf  [rawRequest]byte
}

func startEcho(b *testing.B) *echo {
	b.Helper()
	exe, err := os.Executable()
	require.NoError(b, err)
	cmd := exec.CommandContext(context.Background(), exe) // its standard input ends it
	cmd.Env = append(os.Environ(), envEcho+"=1")
	stdin, err := cmd.StdinPipe() // its end ends the process
	require.NoError(b, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = stdin.Close()
		require.NoError(b, cmd.Wait())
	})
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(b, err)
	return dialEcho(b, strings.TrimSpace(addr))
}

// startEchoHere answers in this process.
func startEchoHere(b *testing.B) *echo {
	b.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b, err)
	ended := make(chan error, 1)
	go func() { ended <- answer(l) }()
	b.Cleanup(func() { require.NoError(b, <-ended) }) // after the connection is closed
	return dialEcho(b, l.Addr().String())
}

func dialEcho(b *testing.B, addr string) *echo {
	b.Helper()
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	return &echo{conn: conn}
}

func (e *echo) roundTrip(b *testing.B) {
	if _, err := e.conn.Write(e.buf[:]); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(e.conn, e.buf[:rawAnswer]); err != nil {
		b.Fatal(err)
	}
}

// runEcho is the main function of the process that answers.
func runEcho() error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return answer(l)
}

// answer answers raw round trips of one connection.
func answer(l net.Listener) error {
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	var buf [rawRequest]byte
	for {
		if _, err := io.ReadFull(conn, buf[:]); err != nil {
			return nil // the peer has ended
		}
		if _, err := conn.Write(buf[:rawAnswer]); err != nil {
			return err
		}
	}
}
