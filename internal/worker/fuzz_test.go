package worker_test

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// FuzzConnection drives a connection through messages made up from bytes, right
// ones and wrong ones, whole, in pieces and cut off, and checks the worker
// against a model of the required answers (machine_test.go): every request is
// answered once or the connection ends; causes are public and fit; results,
// sums, caches, tokens and retained values have the right bits. Half of the
// sequences have sessions with a key and numbered requests, lose their
// connection and resume on another, let leases expire, and upload a weight in
// parts. Another client's session gives the same bits throughout, and
// afterwards all memory and all goroutines are back.
func FuzzConnection(f *testing.F) {
	l, end := newLab(f)
	f.Cleanup(end)
	r := rand.New(rand.NewPCG(7, 8))
	for range 350 { // short: what is found to be new is cut byte by byte
		b := make([]byte, 20+r.IntN(180))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) { l.drive(t, data) })
}

// maxMessages bounds a sequence.
const maxMessages = 300

// drive is one connection.
func (l *lab) drive(t testing.TB, data []byte) {
	l.goroutines = runtime.NumGoroutine()
	m := newMachine(t, l, data)
	m.opening()
	operations := []func() bool{
		m.openSession, m.closeSession, m.resetSession, m.stats, m.prepare, m.prepare, m.upload, m.run, m.run, m.run, m.run,
		m.loop, m.loop, m.more, m.read, m.read, m.release, m.release, m.cancelOne, m.data, m.data, m.raw, m.sync,
	}
	if m.keys {
		operations = append(operations, m.again, m.again, m.older, m.lose, m.lose, m.lose, m.wrongKey, m.resumeUpload, m.resumeUpload)
	}
	// Of bytes of their own, so that the others mean what they did in older seeds.
	moves := []func() bool{m.ticket, m.ticket, m.deliver, m.deliver, m.takeBack, m.send}
	going := true
	for n := 0; going && len(m.draws) > 0 && n < maxMessages; n++ {
		switch b := m.byte(); {
		case b >= 253:
			m.ruin()
			going = false
		case b == 252:
			l.sing(t)
		case b >= 252-len(moves):
			going = moves[b-252+len(moves)]()
		default:
			going = operations[b%len(operations)]()
			if going && b&128 != 0 {
				m.sync()
			}
		}
	}
	if going && m.below(4) != 3 {
		m.leave()
	}
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	_ = m.link.conn.Close()
	<-m.link.done
	m.wait("the end", func() bool { return true })
	l.settled(t)
	l.sing(t)
}

// opening is how most sequences begin: sessions with plans, so that bytes are
// not spent on finding that out.
func (m *machine) opening() {
	first := m.byte()
	m.keys = first >= 128
	switch first % 4 {
	case 0:
		return
	default:
		b := m.draws
		for _, num := range []byte{0, 4} { // sessions 1 and 2
			m.draws = draws{num}
			m.openSession()
			for number, kind := range []byte{planCounter, planTokens + num/4*2, planGrowing} {
				m.draws = draws{num, byte(number), kind, 0, 11}
				m.prepare()
			}
		}
		m.draws = b
		m.sync()
	}
}
