package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// attackLimit is --mem-limit of the worker under attack, and attackMost what it may
// have of anonymous memory.
const (
	attackLimit = 192 << 20
	attackMost  = attackLimit*11/10 + 64<<20
)

// anonymous is the resident anonymous memory of a process.
func anonymous(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// watchMemory follows the anonymous memory of a process until stop, which gives the
// most there was.
func watchMemory(pid int) (stop func() int64) {
	end, most := make(chan struct{}), make(chan int64)
	go func() {
		look := time.NewTicker(5 * time.Millisecond)
		defer look.Stop()
		m := int64(0)
		for {
			select {
			case <-look.C:
				m = max(m, anonymous(pid))
			case <-end:
				most <- m
				return
			}
		}
	}()
	return func() int64 { close(end); return <-most }
}

// attacks are ways to make a worker hold memory. Each continues until done.
var attacks = map[string]func(t testing.TB, w *child, done <-chan struct{}){
	"idle plans":         idlePlans,
	"bindings":           manyBindings,
	"stalled uploads":    stalledUploads,
	"announced payloads": announcedPayloads,
	"slow readers":       slowReaders,
	"many sessions":      manySessions,
	"half messages":      halfMessages,
	"kept values":        keptValues,
	"huge lists":         hugeLists,
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// idlePlans prepares plans with large constants and leaves them.
func idlePlans(t testing.TB, w *child, done <-chan struct{}) {
	a := attack(t, w.urls[0])
	if a == nil {
		return
	}
	defer a.close()
	for i := uint32(1); !over(done); i++ {
		b := build(fmt.Sprint("idle", i))
		a.open(i, b.gives(b.sum(b.constant(4<<20)), plan.Download))
		if _, ok := a.ask(wire.TypeCloseSession, &wirepb.CloseSession{Session: i}, nil); !ok {
			return
		}
	}
}

// manyBindings runs a plan of many steps in many sessions.
func manyBindings(t testing.TB, w *child, done <-chan struct{}) {
	b := build("many")
	x := b.input(1)
	for range 12000 {
		x = b.step("exp", nil, floatsOf(1), x)
	}
	p := b.gives(x, plan.Download)
	a := attack(t, w.urls[0])
	if a == nil {
		return
	}
	defer a.close()
	for i := uint32(1); !over(done); i++ {
		if !a.open(i, p) {
			continue
		}
		code, ok := a.ask(wire.TypeRun, &wirepb.Run{Session: i, Plan: 1, Bytes: 4}, make([]byte, 4))
		if !ok || !a.refused(code) {
			return
		}
	}
	<-done
}

// stalledUploads begins weights of nearly all memory and then stalls.
func stalledUploads(t testing.TB, w *child, done <-chan struct{}) {
	for k := range 4 {
		a := attack(t, w.urls[0])
		if a == nil {
			return
		}
		defer a.close()
		size := attackLimit / 2 / (k + 1)
		b := build(fmt.Sprint("weight", k))
		if !a.open(1, b.gives(b.sum(b.weight(size/4)), plan.Download)) {
			continue
		}
		for _, part := range []int{1 << 10, 4 << 20} {
			a.begin(wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: 1, Value: 0, Bytes: uint64(size)}, make([]byte, part), true)
			for range 6 {
				a.send(&wire.Message{Type: wire.TypeData, Stream: a.last, Payload: []wire.Segment{{Data: make([]byte, part)}}, Open: true})
			}
		}
	}
	<-done
}

// announcedPayloads announces inputs of which a few bytes come, and frames of
// which half does.
func announcedPayloads(t testing.TB, w *child, done <-chan struct{}) {
	for range 4 {
		a := attack(t, w.urls[0])
		if a == nil {
			return
		}
		defer a.close()
		const n = attackLimit / 4
		b := build("input")
		if !a.open(1, b.gives(b.sum(b.input(n/4)), plan.Download)) {
			continue
		}
		for i := range 100 {
			a.begin(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1, Bytes: n}, make([]byte, 64+i%2*(256<<10)), true)
		}
	}
	<-done
}

// slowReaders asks for large answers and reads none.
func slowReaders(t testing.TB, w *child, done <-chan struct{}) {
	const n = 8 << 20
	b := build("echo")
	p := b.gives(b.step("exp", nil, floatsOf(n/4), b.input(n/4)), plan.Download)
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 8 {
		wg.Go(func() {
			a := attack(t, w.urls[0])
			if a == nil {
				return
			}
			defer a.close()
			if !a.open(1, p) {
				return
			}
			for range 8 {
				if !a.begin(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1, Bytes: n}, make([]byte, n), false) {
					break
				}
			}
			<-done
		})
	}
}

// manySessions opens as many as it may, with a little state each.
func manySessions(t testing.TB, w *child, done <-chan struct{}) {
	b := build("state")
	x := b.input(16)
	in := b.value(plan.Value{Kind: plan.KindState, Name: "s", Spec: floatsOf(16), Buffer: plan.NoBuffer})
	y := b.step("add", nil, floatsOf(16), x, in)
	p := b.gives(y, plan.Download)
	p.States = []plan.State{{Name: "s", Mode: plan.StateReplace, In: in, Out: y}}
	for range 2 {
		a := attack(t, w.urls[0])
		if a == nil {
			return
		}
		defer a.close()
		for i := uint32(1); i <= wire.MaxSessions && !over(done); i++ {
			if a.open(i, p) {
				code, ok := a.ask(wire.TypeRun, &wirepb.Run{Session: i, Plan: 1, Bytes: 64}, make([]byte, 64))
				if !ok || !a.refused(code) {
					return
				}
			}
		}
	}
	<-done
}

// halfMessages leaves gRPC messages one byte short.
func halfMessages(t testing.TB, w *child, done <-chan struct{}) {
	sent := 0
	for range 100 {
		nc, err := halfMessage(strings.TrimPrefix(w.urls[1], "grpc://"), 4<<20)
		if nc != nil {
			defer func(nc net.Conn) { _ = nc.Close() }(nc)
		}
		if err == nil {
			sent++
		}
		if over(done) {
			break
		}
	}
	t.Log("half messages that were taken:", sent)
	<-done
}

// keptValues retains large values and releases them, again and again.
func keptValues(t testing.TB, w *child, done <-chan struct{}) {
	const n = 8 << 20
	b := build("kept")
	p := b.gives(b.step("exp", nil, floatsOf(n/4), b.input(n/4)), plan.Retain)
	ctx := context.Background()
	ex, err := tcp.Dial(ctx, strings.TrimPrefix(w.urls[0], "tcp://"))
	if err != nil {
		return
	}
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(ctx)
	if err != nil {
		return
	}
	ref, err := s.Prepare(ctx, p, nil, nil)
	if err != nil {
		return
	}
	for !over(done) {
		res, err := s.Run(ctx, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, n), Cause: plan.CauseActivation}}})
		if err == nil {
			err = s.Release(ctx, res.Outputs[0].Handle)
		}
		if err != nil && transport.Code(err) != transport.Code(transport.ErrMemory) {
			t.Error(err)
			return
		}
	}
}

// hugeLists sends control messages as large as they may be, in requests that wait
// for the rest of their payload.
func hugeLists(t testing.TB, w *child, done <-chan struct{}) {
	a := attack(t, w.urls[0])
	if a == nil {
		return
	}
	defer a.close()
	b := build("lists")
	const inputs = 4000
	for range inputs {
		b.input(1)
	}
	for i := range b.p.Inputs {
		b.p.Inputs[i].Name = fmt.Sprint("x", i)
	}
	if !a.open(1, b.gives(b.step("exp", nil, floatsOf(1), 0), plan.Download)) {
		return
	}
	for range 900 {
		if over(done) || !a.begin(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1, Bytes: 4 * inputs, Causes: make([]uint32, inputs)}, make([]byte, 64), true) {
			break
		}
	}
	<-done
}

// TestMemoryUnderAttack holds the anonymous memory of a worker's process near its
// limit under each attack and under all of them together, and finds it well
// afterwards: it answers a client, and has given the memory back.
func TestMemoryUnderAttack(t *testing.T) {
	under := func(t *testing.T, names ...string) {
		w := startChild(t, both(), "--mem-limit", strconv.Itoa(attackLimit), "--threads", "2", "--log-level", "error")
		pid := w.cmd.Process.Pid
		stop := watchMemory(pid)
		done := make(chan struct{})
		var wg sync.WaitGroup
		for _, name := range names {
			wg.Go(func() { attacks[name](t, w, done) })
		}
		<-time.After(time.Duration(len(names)+1) * time.Second / 2) // each attack's time
		close(done)
		wg.Wait()
		most := stop()
		t.Logf("%v: at most %d MiB of anonymous memory", names, most>>20)
		require.Less(t, most, int64(attackMost))
		require.Eventually(t, func() bool { return victim(t, w) == nil }, 10*time.Second, 50*time.Millisecond)
		left(t, w)
		code, _ := w.signal(t, os.Interrupt)
		require.Zero(t, code, w.stderr)
	}
	var all []string
	for name := range attacks {
		all = append(all, name)
		t.Run(name, func(t *testing.T) { under(t, name) })
	}
	t.Run("all together", func(t *testing.T) { under(t, all...) })
}

// left verifies that the memory left after the attacks belongs to no session
// and is freed on demand, and that the process holds what is counted, and
// garbage within its limit.
func left(t testing.TB, w *child) {
	ex, err := tcp.Dial(t.Context(), strings.TrimPrefix(w.urls[0], "tcp://"))
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	var st transport.Stats
	require.Eventually(t, func() bool {
		st, err = ex.Stats(t.Context())
		require.NoError(t, err)
		return st.Sessions == 0 && st.StateBytes+st.RetainedBytes+st.StagingBytes == 0 && st.BufferBytes < 1<<20 &&
			anonymous(w.cmd.Process.Pid) < st.MemoryUsed+attackLimit/2
	}, 10*time.Second, 20*time.Millisecond, "%+v", &st)
	// Unused plans, interrupted uploads, spare scratch.
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	const n = attackLimit / 3
	b := build("large")
	ref, err := s.Prepare(t.Context(), b.gives(b.sum(b.input(n/4)), plan.Download), nil, nil)
	require.NoError(t, err)
	_, err = s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, n), Cause: plan.CauseActivation}}})
	require.NoError(t, err, "a third of the memory, twice for a moment")
}

// victim is a client with very small requests.
func victim(t testing.TB, w *child) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ex, err := tcp.Dial(ctx, strings.TrimPrefix(w.urls[0], "tcp://"))
	if err != nil {
		return err
	}
	defer func() { _ = ex.Close() }()
	s, err := ex.NewSession(ctx)
	if err != nil {
		return err
	}
	b := build("victim")
	ref, err := s.Prepare(ctx, b.gives(b.step("exp", nil, floatsOf(4), b.input(4)), plan.Download), nil, nil)
	if err != nil {
		return err
	}
	res, err := s.Run(ctx, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, 16), Cause: plan.CauseActivation}}})
	if err == nil && !bytes.Equal(res.Outputs[0].Tensor.Data, bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, 4)) {
		t.Errorf("another result")
	}
	return err
}
