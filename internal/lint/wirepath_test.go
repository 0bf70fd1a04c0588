package lint

import (
	"slices"
	"strings"
	"testing"
)

// wirePath are the packages that process a peer's bytes.
var wirePath = []string{"transport/...", "internal/worker", "internal/access", "internal/engine", "internal/models", "internal/op"}

// neverOnTheWire must not be linked into a binary by them: packages that make
// values of any type, or run code, from bytes; and packages that expose the
// service to strangers.
var neverOnTheWire = []string{
	"encoding/gob", "plugin", "os/exec", "net/rpc", "go/parser", "go/types", "debug/elf",
	"google.golang.org/grpc/reflection", "google.golang.org/grpc/channelz/service", "net/http/pprof", "expvar",
	"gopkg.in/yaml", "go.yaml.in/", "github.com/vmihailenco/msgpack", "github.com/ugorji/go", "github.com/traefik/yaegi",
	"github.com/nlpodyssey/gopickle", "go.starlark.net", "github.com/dop251/goja", "github.com/yuin/gopher-lua",
}

func TestWirePath(t *testing.T) {
	checked := 0
	for _, p := range ours(t) {
		if slices.Contains(forTests, p.name()) || !slices.ContainsFunc(wirePath, func(w string) bool { return matches(w, p.name()) }) {
			continue
		}
		checked++
		for _, dep := range p.Deps {
			if slices.ContainsFunc(neverOnTheWire, func(n string) bool {
				return dep == n || strings.HasPrefix(dep, strings.TrimSuffix(n, "/")+"/")
			}) {
				t.Errorf("%s links %s: no bytes of a peer's may become code, or a value of a type that they name", p.name(), dep)
			}
		}
	}
	if checked < 15 {
		t.Errorf("%d packages are on the wire path, there were more", checked)
	}
}
