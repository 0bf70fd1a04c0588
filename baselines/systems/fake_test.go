package systems

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// envFake makes the test's executable an interpreter with the behaviour that
// its value names.
const envFake = "GENIE_SYSTEM_FAKE"

func TestMain(m *testing.M) {
	if mode := os.Getenv(envFake); mode != "" {
		os.Exit(fake(mode))
	}
	if program := os.Getenv(envDriver); program != "" {
		fmt.Fprintln(os.Stderr, drive(program))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// useFake starts reference systems with this behaviour.
func useFake(t *testing.T, mode string) Options {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	t.Setenv(envFake, mode)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // which otherwise takes a second per interpreter
	return Options{Python: exe, Threads: 3, Cache: t.TempDir()}
}

const greeting = `{"id": 0, "result": {"versions": {"fake": "1.0"}}}`

// fake is the main function of an interpreter; it returns an exit status.
func fake(mode string) int {
	switch mode {
	case "garbage":
		fmt.Print("Traceback (most recent call last):\n  ImportError\n")
		return 0
	case "huge":
		_, _ = os.Stdout.Write([]byte{0xff, 0xff, 0xff, 0xff, '{'})
		_, _ = io.Copy(io.Discard, os.Stdin)
		return 0
	case "notjson":
		sayHead("{]")
		return 0
	case "nogreeting":
		sayHead(`{"id": 0, "result": 7}`)
		return 0
	case "crash":
		fmt.Fprint(os.Stderr, "1%\r100%\nlibtorch.so: cannot open shared object file\n")
		return 3
	case "missing":
		sayHead(`{"id": 0, "error": {"type": "ModuleNotFoundError", "message": "No module named 'torch'",
			"traceback": ["import torch"], "unavailable": true}}`)
		return 0
	case "broken":
		sayHead(`{"id": 0, "error": {"type": "ValueError", "message": "wrong"}}`)
		return 0
	}
	if wrong, ok := strings.CutPrefix(mode, fakeSetup); ok {
		return setUp(wrong, os.Args[1:])
	}
	sayHead(greeting)
	return serve(mode)
}

func serve(mode string) int {
	if mode == "child" { // which keeps standard error open
		cmd := exec.Command("sleep", "1000")
		cmd.Stderr = os.Stderr
		if cmd.Start() != nil {
			return 5
		}
	}
	for {
		var n [4]byte
		if _, err := io.ReadFull(os.Stdin, n[:]); err != nil {
			return 0
		}
		head := make([]byte, binary.LittleEndian.Uint32(n[:]))
		_, _ = io.ReadFull(os.Stdin, head)
		var r struct {
			ID      uint64          `json:"id"`
			Op      string          `json:"op"`
			Args    json.RawMessage `json:"args"`
			Tensors []listed        `json:"tensors"`
		}
		if json.Unmarshal(head, &r) != nil {
			return 4
		}
		var data []byte
		for _, t := range r.Tensors {
			b := make([]byte, t.Bytes)
			_, _ = io.ReadFull(os.Stdin, b)
			data = append(data, b...)
		}
		if r.Args == nil {
			r.Args = json.RawMessage("null")
		}
		switch r.Op {
		case "echo":
			sayHead(fmt.Sprintf(`{"id": %d, "result": %s, "tensors": %s}`, r.ID, r.Args, asJSON(r.Tensors)))
			_, _ = os.Stdout.Write(data)
		case "environment":
			sayHead(fmt.Sprintf(`{"id": %d, "result": %s}`, r.ID, asJSON(os.Environ())))
		case "raise":
			sayHead(fmt.Sprintf(`{"id": %d, "error": {"type": "KeyError", "message": "x", "traceback": ["a", "b"]}}`, r.ID))
		case "lacks":
			sayHead(fmt.Sprintf(`{"id": %d, "error": {"type": "Unavailable", "message": "bf16", "unavailable": true}}`, r.ID))
		case "other":
			sayHead(fmt.Sprintf(`{"id": %d, "result": {}}`, r.ID+1))
		case "cut":
			sayHead(fmt.Sprintf(`{"id": %d, "tensors": [{"name": "x", "dtype": "f32", "shape": [4], "bytes": 16}]}`, r.ID))
			_, _ = os.Stdout.Write([]byte("eight by"))
			return 0
		case "bytes":
			sayHead(fmt.Sprintf(`{"id": %d, "tensors": [{"name": "x", "dtype": "f32", "shape": [4], "bytes": 17}]}`, r.ID))
		case "die":
			fmt.Fprint(os.Stderr, "out of memory\n")
			return 9
		case "prepare":
			targets := `[]`
			if strings.Contains(string(r.Args), `"linked":true`) {
				targets = `["127.0.0.1:1"]`
			}
			sayHead(fmt.Sprintf(`{"id": %d, "result": {"targets": %s}}`, r.ID, targets))
		case "open":
			var args struct{ Proxies map[string]string }
			_ = json.Unmarshal(r.Args, &args)
			sayHead(fmt.Sprintf(`{"id": %d, "result": {"threads": 3, "transports": %q}}`, r.ID, args.Proxies["127.0.0.1:1"]))
		case "run":
			if strings.Contains(string(r.Args), "silent") {
				sayHead(fmt.Sprintf(`{"id": %d, "result": {}}`, r.ID))
				break
			}
			sayHead(fmt.Sprintf(`{"id": %d, "result": {"ns": [5, 6], "remote_calls": 2}, "tensors": %s}`, r.ID, asJSON(r.Tensors)))
			_, _ = os.Stdout.Write(data)
		case "load":
			sayHead(fmt.Sprintf(`{"id": %d, "result": {"threads": 3}}`, r.ID))
		case "generate":
			sayHead(fmt.Sprintf(`{"id": %d, "result": {"tokens": [[5, 6]], "ttft_ns": 7, "step_ns": [8]},
				"tensors": [{"name": "logits", "dtype": "f32", "shape": [2, 1, 3], "bytes": 24}]}`, r.ID))
			_, _ = os.Stdout.Write(make([]byte, 24))
		case "hang":
		}
	}
}

func sayHead(text string) {
	_, _ = os.Stdout.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...))
}

func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
