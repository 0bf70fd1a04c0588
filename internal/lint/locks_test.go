package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// locksPage is docs/locks.md: the locks in their order, the channels that serve
// as locks, and the functions that unlock without a defer, with the reason.
type locksPage struct {
	order []string
	bare  map[string]string
	chans []string
}

var readLocksPage = sync.OnceValues(func() (locksPage, error) {
	p := locksPage{bare: map[string]string{}}
	text, err := os.ReadFile(filepath.Join(root(), "docs", "locks.md"))
	if err != nil {
		return p, err
	}
	row := regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]+) \\|")
	section := ""
	for l := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(l, "## "); ok {
			section = strings.TrimSpace(name)
		}
		m := row.FindStringSubmatch(l)
		switch {
		case m == nil:
		case section == "Locks, in their order":
			p.order = append(p.order, m[1])
		case section == "Channels that are locks":
			p.chans = append(p.chans, m[1])
		case section == "Unlocked without defer":
			p.bare[m[1]] = m[2]
		}
	}
	return p, nil
})

// TestLocksPage compares docs/locks.md with the code, in both directions: the
// page lists every lock of the code, a lock taken while another is held is
// below it on the page, and a function that unlocks without a defer is listed
// and can do nothing that panics.
func TestLocksPage(t *testing.T) {
	page, err := readLocksPage()
	require.NoError(t, err)
	g := newLockGraph(t)
	t.Run("listed", func(t *testing.T) {
		seen := map[string]bool{}
		for _, name := range g.names {
			seen[name] = true
			if !slices.Contains(page.order, name) {
				t.Errorf("docs/locks.md does not list %s", name)
			}
			if strings.HasSuffix(name, "Mutex") {
				t.Errorf("%s is embedded: give it a name", name)
			}
		}
		for i, name := range page.order {
			if !seen[name] {
				t.Errorf("docs/locks.md lists %s, which is no lock", name)
			}
			if slices.Index(page.order, name) != i {
				t.Errorf("docs/locks.md lists %s twice", name)
			}
		}
	})
	t.Run("order", func(t *testing.T) {
		edges := g.edges()
		require.Greater(t, len(edges), 40, "it must find those that there are")
		require.Contains(t, edges, lockEdge{"internal/worker.Server.mu", "internal/worker.conn.mu"})
		require.Contains(t, edges, lockEdge{"internal/budget.Budget.mu", "internal/engine.store.mu"}, "through an interface")
		for e, at := range edges {
			if slices.Index(page.order, e.held) >= slices.Index(page.order, e.taken) {
				t.Errorf("%s is taken while %s is held, which stands below it: %s", e.taken, e.held, at)
			}
		}
	})
	t.Run("unlocked by defer", func(t *testing.T) {
		require.NotEmpty(t, g.bare)
		for name, why := range g.bare {
			reason, listed := page.bare[name]
			handed := strings.HasPrefix(reason, "handed over")
			switch {
			case !listed:
				t.Errorf("%s unlocks without a defer, and docs/locks.md does not say why", name)
			case why != "" && !handed:
				t.Errorf("%s could panic with a lock held: %s", name, why)
			}
		}
		for name := range page.bare {
			if _, ok := g.bare[name]; !ok {
				t.Errorf("docs/locks.md lists %s, which unlocks by defer or has no lock", name)
			}
		}
	})
	t.Run("channels", func(t *testing.T) {
		require.NotEmpty(t, page.chans)
		for _, name := range page.chans {
			if !g.hasChan(name) {
				t.Errorf("docs/locks.md lists %s, which is no channel of a struct", name)
			}
		}
	})
}
