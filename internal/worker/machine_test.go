package worker_test

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// patience is how long an answer may take. It is only ever waited for in full
// when a test fails, so it is long enough for a machine that rests.
const patience = time.Minute

// outcomes is the set of what a request may be answered with: bit 0 for
// success, the others by error code.
type outcomes uint64

const anything = ^outcomes(0) &^ (1 << 16) // but an internal error

func oneOf(errs ...error) (o outcomes) {
	for _, err := range errs {
		if err == nil {
			o |= 1
			continue
		}
		o |= 1 << transport.Code(err)
	}
	return o
}

// asked is a request whose answer is awaited.
type asked struct {
	typ     wire.Type
	may     outcomes
	tenant  *tenant // whose turn it waits for; nil for none
	seq     int     // its place among those of the tenant
	partial bool    // its message is unfinished
	frames  int     // of an answer in several
	credit  int     // of a loop
	most    int32   // of what a loop counts
	number  uint64  // in its session, where that has a key
	control []byte  // of a numbered request, to make it again
	payload []byte
	whole   outcomes // what it may be answered with when its frame is as it should be
	// succeeded checks the frames of a successful answer.
	succeeded func(control, payload []byte, last bool) error
	// failed is called with an error; it may be nil.
	failed func(code uint32) error
}

// tenant is what a session must be like.
type tenant struct {
	num   uint32
	plans map[uint32]*numbered
	seq   int // requests made
	last  int // of the request that was answered last

	sum     [2]float32
	acc     float32
	accLost bool // a loop ended early
	looped  bool // a loop was sent, which may have ended early
	rows    []float32
	kept    map[transport.Handle][]byte
	order   []transport.Handle
	gone    []transport.Handle
	loops   int  // that have not ended
	closing bool // CloseSession was sent

	keyed
}

// numbered is a plan under its number.
type numbered struct {
	known
	kind      int
	confirmed bool // Prepared has come
	waiting   int  // Prepares that are not answered
}

// machine is one connection and the model of it.
type machine struct {
	draws
	t    testing.TB
	lab  *lab
	last uint64
	sent uint32 // frames, the hello among them; the sender's

	keys bool     // sessions 1 and 2 have keys
	dead [][]byte // keys of sessions that are closed
	part []byte   // of the weight of planUpload, which the worker has
	have bool     // all of that weight
	cut  int      // of the next frame only so many bytes go out; 0 for all

	link *machineLink // under the lock, but for the sender

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when something was received
	pending map[uint64]*asked
	open    map[uint32]*tenant
	strays  map[uint64]int    // errors due on streams that carry no request
	fatal   outcomes          // what the connection may end with; 0 when it must not end
	ended   bool              // nothing more will come
	broken  error             // what was wrong, the first thing
	passes  []*pass           // tickets, under the lock
	rest    map[uint64][]byte // the missing parts of unfinished messages; the sender's
}

// machineLink is a connection, and what receives from it.
type machineLink struct {
	conn  net.Conn
	wc    *wire.Conn
	nonce []byte        // of the worker
	done  chan struct{} // closed when nothing more will come
}

// newMachine connects and says hello.
func newMachine(t testing.TB, l *lab, data []byte) *machine {
	m := &machine{
		draws: data, t: t, lab: l,
		changed: make(chan struct{}), pending: map[uint64]*asked{}, open: map[uint32]*tenant{}, strays: map[uint64]int{},
		rest: map[uint64][]byte{},
	}
	m.connect()
	return m
}

// connect makes a connection the machine's.
func (m *machine) connect() {
	c, err := m.lab.pipes.dial()
	require.NoError(m.t, err)
	l := &machineLink{conn: c, wc: wire.NewConn(wire.NewTCP(c, nil), nil), done: make(chan struct{})}
	_, err = c.Write(rawFrame{typ: wire.TypeHello, control: marshal(&wirepb.Hello{Version: wire.Version})}.bytes(0))
	require.NoError(m.t, err)
	h, control, err := l.wc.Next()
	require.NoError(m.t, err)
	require.Equal(m.t, wire.TypeHello, h.Type)
	var hello wirepb.Hello
	require.NoError(m.t, proto.Unmarshal(control, &hello))
	l.nonce = hello.GetNonce()
	m.mu.Lock()
	m.link, m.sent, m.ended = l, 1, false
	m.mu.Unlock()
	go m.receive(l)
}

// receive takes all that comes and holds it against the model.
func (m *machine) receive(l *machineLink) {
	defer close(l.done)
	for {
		h, control, err := l.wc.Next()
		var payload []byte
		if err == nil {
			payload = make([]byte, h.Payload)
			var bad error
			bad, err = l.wc.ReadPayload(h, wire.NewSink([]wire.Segment{{Data: payload}}), 0)
			err = errors.Join(err, bad)
		}
		m.mu.Lock()
		over := err != nil
		if err == nil {
			if wrong := m.frame(h, control, payload); wrong != nil && m.broken == nil {
				m.broken = wrong
			}
		} else if l == m.link {
			m.ended = true
		}
		close(m.changed)
		m.changed = make(chan struct{})
		over = over || l == m.link && m.ended || m.broken != nil
		m.mu.Unlock()
		if over {
			_ = l.conn.Close()
			return
		}
	}
}

// frame holds one frame against the model.
func (m *machine) frame(h wire.Header, control, payload []byte) error {
	code := uint32(0)
	if h.Type == wire.TypeError {
		var e wirepb.Error
		if err := proto.Unmarshal(control, &e); err != nil {
			return err
		}
		code = e.GetCode()
		if words := e.GetMessage(); len(words) > wire.MaxErrorText || !utf8.ValidString(words) || !strings.Contains(words, "genie:") ||
			code == 0 || code > 63 || strings.Contains(words, "goroutine ") {
			return fmt.Errorf("an error of code %d with the words %q", code, words)
		}
	}
	if h.Stream == 0 {
		if h.Type == wire.TypePing {
			return nil
		}
		if h.Type != wire.TypeError || m.fatal&(1<<code) == 0 {
			return fmt.Errorf("%v of code %d on stream 0, it may be %b", h.Type, code, m.fatal)
		}
		m.ended = true
		return nil
	}
	r := m.pending[h.Stream]
	if r == nil {
		if m.strays[h.Stream]--; m.strays[h.Stream] < 0 || code != transport.Code(transport.ErrProtocol) {
			return fmt.Errorf("%v of code %d on stream %d, where nothing is due", h.Type, code, h.Stream)
		}
		return nil
	}
	if err := m.answer(h, r, code, control, payload); err != nil {
		return fmt.Errorf("%v on stream %d: %w", r.typ, h.Stream, err)
	}
	return nil
}

func (m *machine) answer(h wire.Header, r *asked, code uint32, control, payload []byte) error {
	may := r.may
	if t := r.tenant; t != nil && t.looped { // a request behind a loop that was cut short, also by the end of a connection
		may |= oneOf(transport.ErrState)
		t.accLost = t.accLost || code == transport.Code(transport.ErrState)
	}
	if may&(1<<code) == 0 {
		return fmt.Errorf("answered with code %d (%s), it may be %v", code, control, codesOf(r.may))
	}
	last := !h.More()
	r.frames++
	switch {
	case code != 0:
		if !last || len(payload) > 0 {
			return errors.New("an error with more frames")
		}
	case r.frames == 1 && (h.Type != r.typ || h.Flags&wire.FlagAnswer == 0):
		return fmt.Errorf("answered by a %v with flags %b", h.Type, h.Flags)
	case r.frames > 1 && h.Type != wire.TypeData:
		return fmt.Errorf("continues with a %v", h.Type)
	}
	// Requests of a session are done in their order; those that were refused
	// as they came are not among them.
	if t := r.tenant; t != nil && code == 0 && r.frames == 1 {
		if r.seq < t.last {
			return fmt.Errorf("request %d of its session is done after %d", r.seq, t.last)
		}
		t.last = r.seq
	}
	if t := r.tenant; t != nil && r.number > 0 {
		t.answered(r, code, control, payload)
	}
	if last {
		delete(m.pending, h.Stream)
		if r.typ == wire.TypeLoop && r.tenant != nil {
			r.tenant.loops--
		}
	}
	if code != 0 {
		if r.failed != nil {
			return r.failed(code)
		}
		return nil
	}
	if r.succeeded != nil {
		return r.succeeded(control, payload, last)
	}
	if len(control) > 0 || len(payload) > 0 {
		return fmt.Errorf("an answer of %d and %d bytes", len(control), len(payload))
	}
	return nil
}

func codesOf(o outcomes) (list []int) {
	for ; o != 0; o &= o - 1 {
		list = append(list, bits.TrailingZeros64(uint64(o)))
	}
	return list
}

// wait blocks until done, which is called with the lock held.
func (m *machine) wait(what string, done func() bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		m.mu.Lock()
		ok, broken, changed := done(), m.broken, m.changed
		m.mu.Unlock()
		require.NoError(m.t, broken)
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			m.mu.Lock()
			defer m.mu.Unlock()
			var list []string
			for stream, r := range m.pending {
				list = append(list, fmt.Sprintf("%v on %d", r.typ, stream))
			}
			require.Failf(m.t, "no answer", "%s: %v", what, list)
		}
	}
}

// write sends the bytes of one frame; an error means that the connection has ended.
func (m *machine) write(b []byte) bool {
	m.sent++
	if m.cut > 0 {
		b, m.cut = b[:m.cut%len(b)], 0
	}
	_, err := m.link.conn.Write(b)
	return err == nil
}
