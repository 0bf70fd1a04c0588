package worker_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// broughtAs is the plan number of planUpload, which the other operations do not
// use.
const broughtAs = 4

// resumeUpload brings the weight of planUpload, in parts: with the connection
// lost in between, from where the last part ended, from elsewhere, spoiled.
func (m *machine) resumeUpload() bool {
	if !m.calm() {
		return false
	}
	_, t := m.session()
	if t == nil {
		return true
	}
	if !m.prepareBrought(t, true) {
		return false
	}
	for range 1 + m.below(4) {
		var going bool
		switch m.below(6) {
		case 0, 1:
			going = m.bringPart(t)
		case 2:
			going = m.bringElsewhere(t)
		case 3:
			going = m.bringRest(t)
		case 4:
			going = m.runBrought(t)
		default:
			going = m.prepareBrought(t, false)
		}
		m.mu.Lock()
		gone, ended := m.open[t.num] != t, m.ended
		m.mu.Unlock()
		if !going || ended {
			return false
		}
		if gone {
			break
		}
	}
	return true
}

// prepareBrought prepares the plan and holds what the worker says that it has
// against what was sent.
func (m *machine) prepareBrought(t *tenant, sends bool) bool {
	k := m.lab.plans[planUpload][0]
	req := &wirepb.Prepare{Session: t.num, Plan: broughtAs, Hash: k.hash[:]}
	var payload []byte
	if sends {
		payload = k.encoded
		req.PlanBytes = uint64(len(payload))
	}
	r := &asked{typ: wire.TypePrepare, tenant: t, may: oneOf(nil), succeeded: func(control, _ []byte, _ bool) error {
		p, err := preparedOf(control)
		if err != nil {
			return err
		}
		if m.have {
			if len(p.GetMissing())+len(p.GetPartial()) > 0 {
				return fmt.Errorf("a weight that was brought is missing: %v", p)
			}
			return nil
		}
		if !slices.Equal(p.GetMissing(), []uint32{1}) || (len(m.part) > 0) != (len(p.GetPartial()) == 1) {
			return fmt.Errorf("of a weight %d bytes are there, the worker says %v", len(m.part), p)
		}
		if len(m.part) > 0 {
			h := transport.HashWeight(plan.F32, []int{2}, m.part)
			if x := p.GetPartial()[0]; x.GetValue() != 1 || x.GetBytes() != uint64(len(m.part)) || !bytes.Equal(x.GetHash(), h[:]) {
				return fmt.Errorf("of a weight %x are there, the worker says %v", m.part, x)
			}
		}
		return nil
	}}
	return m.request(r, req, payload, nil) && m.sync()
}

// put is PutWeight of content from offset on.
func (m *machine) put(t *tenant, may outcomes, offset int, content []byte, more func(*rawFrame)) bool {
	r := &asked{typ: wire.TypePutWeight, tenant: t, may: may}
	return m.request(r, &wirepb.PutWeight{
		Session: t.num, Plan: broughtAs, Value: 1, Offset: uint64(offset), Bytes: uint64(len(content)),
	}, content, more)
}

// from is where an upload begins: at the beginning, or where the last one ended.
func (m *machine) from() int {
	if m.below(3) == 0 {
		return 0
	}
	return len(m.part)
}

// bytesFrom is the weight from offset on, now and then with a bit that is not
// its own.
func (m *machine) bytesFrom(offset int) []byte {
	b := broughtWeight()[offset:]
	if m.below(5) == 0 && len(b) > 0 {
		b[m.below(len(b))] ^= 4
	}
	return b
}

// bringPart sends a part, and cancels or loses the connection.
func (m *machine) bringPart(t *tenant) bool {
	offset := m.from()
	content := m.bytesFrom(offset)
	n := m.below(len(content))
	if !m.put(t, oneOf(context.Canceled), offset, content, func(f *rawFrame) { f.flags, f.payload = wire.FlagMore, content[:n] }) {
		return false
	}
	stream := m.last
	if offset > 0 {
		m.part = append(m.part, content[:n]...)
	} else if n > len(m.part) {
		m.part = slices.Clone(content[:n])
	}
	if m.below(3) == 0 {
		old := m.link
		_ = old.conn.Close()
		m.over(old)
		m.connect()
		if !m.join(true) || !m.settle() {
			return false
		}
	} else if !m.cancel(stream) || !m.sync() {
		return false
	}
	m.await("what was sent of a weight is not kept", func() bool { return m.lab.server.Part(m.lab.broughtKey(m.t)) == int64(len(m.part)) })
	return true
}

// broughtKey is the weight of planUpload, which a session has prepared.
func (l *lab) broughtKey(t require.TestingT) engine.WeightKey {
	k := l.plans[planUpload][0]
	p, ok := l.engine.Program(k.hash)
	require.True(t, ok)
	key, err := l.engine.WeightForm(p, k.p.Values[1])
	require.NoError(t, err)
	return key
}

// bringElsewhere resumes where no upload ended.
func (m *machine) bringElsewhere(t *tenant) bool {
	offset := 1 + m.below(8)
	if offset == len(m.part) {
		return true
	}
	return m.put(t, oneOf(transport.ErrMissingWeight), offset, m.bytesFrom(offset), nil) && m.sync()
}

// bringRest sends the rest, or all. The whole is checked, whichever client sent
// its parts.
func (m *machine) bringRest(t *tenant) bool {
	offset := m.from()
	content := m.bytesFrom(offset)
	may := oneOf(transport.ErrCorrupt)
	right := bytes.Equal(slices.Concat(m.part[:offset], content), broughtWeight())
	if right {
		may = oneOf(nil)
	}
	if offset > 0 {
		m.part = nil
	}
	if !m.put(t, may, offset, content, nil) || !m.sync() {
		return false
	}
	m.have = m.have || right
	return true
}

// runBrought runs with the weight, or without it.
func (m *machine) runBrought(t *tenant) bool {
	r := &asked{typ: wire.TypeRun, tenant: t}
	req := &wirepb.Run{Session: t.num, Plan: broughtAs}
	w := pairOf(broughtWeight())
	payload := m.runCounter(t, r, req, w)
	if !m.have {
		r.may = r.may&^1 | oneOf(transport.ErrMissingWeight)
	}
	req.Bytes = uint64(len(payload))
	return m.request(r, req, payload, nil) && m.sync()
}
