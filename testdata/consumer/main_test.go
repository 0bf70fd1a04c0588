package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/genie-sdk/go/genie"
)

// startWorker builds the worker from the repository and starts it on a free
// port. It ends with the test.
func startWorker(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "genie")
	build := exec.Command("go", "build", "-o", binary, "./cmd/genie")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	worker := exec.Command(binary, "worker", "--listen", "tcp://127.0.0.1:0")
	worker.Stderr = os.Stderr
	stdout, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = worker.Process.Signal(os.Interrupt)
		if err := worker.Wait(); err != nil {
			t.Errorf("worker: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		t.Fatalf("the worker said %q: %v", line, err)
	}
	return url
}

func TestOnWorker(t *testing.T) {
	url := startWorker(t)
	all := 4 * (features*hidden + hidden + hidden*classes + classes)
	// The second client finds the weights of the first.
	for i, sent := range []int{all, 0} {
		weights := fmt.Sprintf(" %d of them weights", sent)
		var out bytes.Buffer
		if err := serve(t.Context(), url, &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), weights) {
			t.Errorf("client %d: want %q in\n%s", i+1, weights, &out)
		}
	}
}

func TestInProcess(t *testing.T) {
	var out bytes.Buffer
	if err := serve(t.Context(), "local:", &out); err != nil {
		t.Fatal(err)
	}
}

func TestNoWorker(t *testing.T) {
	err := serve(context.Background(), "tcp://127.0.0.1:1", &bytes.Buffer{})
	if !errors.Is(err, genie.ErrUnreachable) || !strings.Contains(err.Error(), "tcp://127.0.0.1:1") {
		t.Fatal(err)
	}
}
