package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// figures is what a program that uses the SDK links.
type figures struct {
	Packages int   `json:"packages"` // of go list -deps, the standard library's among them
	Modules  int   `json:"modules"`  // other than the program's own
	Bytes    int64 `json:"bytes"`    // of the stripped binary, linux/amd64, without cgo
}

// TestBudget measures what a consumer links, as it is and without gRPC, and holds
// it below what budget.json allows. What a change adds is seen in the test's log
// and in that file; a new limit is a decision.
func TestBudget(t *testing.T) {
	text, err := os.ReadFile("budget.json")
	if err != nil {
		t.Fatal(err)
	}
	var budget map[string]figures
	if err := json.Unmarshal(text, &budget); err != nil {
		t.Fatal(err)
	}
	for _, tags := range []string{"", "genie_nogrpc"} {
		name := tags
		if name == "" {
			name = "default"
		}
		most, ok := budget[name]
		if !ok {
			t.Fatalf("budget.json has nothing for %s", name)
		}
		packages := strings.Fields(ask(t, "list", "-deps", "-tags", tags, "."))
		modules := strings.Fields(ask(t, "list", "-deps", "-tags", tags, "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "."))
		slices.Sort(modules)
		binary := filepath.Join(t.TempDir(), "consumer")
		ask(t, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", tags, "-o", binary, ".")
		info, err := os.Stat(binary)
		if err != nil {
			t.Fatal(err)
		}
		got := figures{len(packages), len(slices.Compact(modules)), info.Size()}
		t.Logf("%s: %d of %d packages, %d of %d modules, %.2f of %.2f MB", name,
			got.Packages, most.Packages, got.Modules, most.Modules, float64(got.Bytes)/1e6, float64(most.Bytes)/1e6)
		if got.Packages > most.Packages || got.Modules > most.Modules || got.Bytes > most.Bytes {
			t.Errorf("%s: a consumer links %+v, the budget is %+v", name, got, most)
		}
		for _, p := range packages {
			if tags != "" && strings.HasPrefix(p, "google.golang.org/grpc") {
				t.Errorf("%s links %s", name, p)
			}
		}
	}
}

// ask runs the go command for linux/amd64, wherever the test runs.
func ask(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, &stderr)
	}
	return string(out)
}
