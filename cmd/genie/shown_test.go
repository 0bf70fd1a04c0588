package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// nasty is hostile output to a terminal: a title, a cleared screen, an extra
// line, colours by one byte of C1, text that runs backwards.
const nasty = "\x1b]0;owned\x07\x1b[2J\r\nforged line\x00\x7f \u009b31m \u202egnp.exe"

// requireShown verifies that text is lines of what is printed.
func requireShown(t *testing.T, text string) {
	t.Helper()
	require.NotEmpty(t, text)
	for _, r := range text {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%q", text)
	}
	for l := range strings.Lines(text) {
		require.False(t, strings.HasPrefix(l, "forged"), "%q", text)
	}
}

// nastyTCP refuses every connection with nasty words.
func nastyTCP(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wc := wire.NewConn(wire.NewTCP(nc, nil), nil)
			if _, _, err := wc.Next(); err == nil {
				_, _ = wc.Send(context.Background(), &wire.Message{
					Type: wire.TypeError, Flags: wire.FlagAnswer, Control: &wirepb.Error{Code: 13, Message: nasty},
				})
				_, _ = io.Copy(io.Discard, nc)
			}
			_ = wc.Close()
		}
	}()
	return l.Addr().String()
}

// nastyGRPC ends every call with nasty words, which gRPC passes on.
func nastyGRPC(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return status.Error(codes.Internal, nasty) }))
	t.Cleanup(g.Stop)
	go func() { _ = g.Serve(l) }()
	_ = healthpb.Health_ServiceDesc // unknown to this server, too
	return l.Addr().String()
}

// nastyHTTP has metrics of nasty labels, and is not ready in nasty words.
func nastyHTTP(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, nasty)
			return
		}
		label := strings.NewReplacer("\n", `\n`, "\x00", "").Replace(nasty)
		_, _ = fmt.Fprintf(w, "genie_worker_ready 1\ngenie_worker_info{version=\"%s\",cpu=\"%s\"} 1\ngenie_worker_memory_bytes{kind=\"%s\"} 5\n", label, label, label)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestWordsOfPeersAreShown has what a worker says reach standard output and
// standard error in no other way than to be read.
func TestWordsOfPeersAreShown(t *testing.T) {
	tcp, rpc, web := nastyTCP(t), nastyGRPC(t), nastyHTTP(t)
	model := "../../testdata/gpt2/basic"
	for name, args := range map[string][]string{
		"health tcp":  {"health", "tcp://" + tcp},
		"health grpc": {"health", "grpc://" + rpc},
		"health http": {"health", web},
		"tcp":         {"generate", "--model", model, "--tokens", "1", "--executor", "tcp://" + tcp, "--no-recovery"},
		"grpc":        {"generate", "--model", model, "--tokens", "1", "--executor", "grpc://" + rpc, "--no-recovery"},
		"top":         {"top", web, "--once", "--interval", "20ms"},
		"top json":    {"top", web, "--once", "--interval", "20ms", "--json"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := run(t.Context(), args, strings.NewReader(""), &out, &errs)
			require.Equal(t, strings.HasPrefix(name, "top"), code == exitOK, "%s", errs.String())
			requireShown(t, out.String()+errs.String())
			require.Contains(t, out.String()+errs.String(), "owned", "it is told, escaped")
		})
	}
}

// TestLogsAreShown has a client's words in both kinds of log lines.
func TestLogsAreShown(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var errs bytes.Buffer
		o := &watchOptions{logFormat: format}
		o.logger(&app{stderr: &errs}).Info("client", "identity", nasty, "error", fmt.Errorf("model %s", nasty))
		requireShown(t, errs.String())
		require.Equal(t, 1, strings.Count(errs.String(), "\n"))
		if format == "json" {
			var m map[string]any
			require.NoError(t, json.Unmarshal(errs.Bytes(), &m))
			require.Equal(t, nasty, m["identity"], "a program reads what was said")
		}
	}
}

// TestTextOnATerminal prints the text of a model whose tokens a worker chose.
func TestTextOnATerminal(t *testing.T) {
	var out bytes.Buffer
	n, err := terminalText{&out}.Write([]byte("one\n\ttwo " + "\x1b[2J\u202e\u009b" + " ümlaut\n"))
	require.NoError(t, err)
	require.Equal(t, len("one\n\ttwo \x1b[2J\u202e\u009b ümlaut\n"), n)
	require.Equal(t, "one\n\ttwo "+`\x1b[2J\u202e\u009b`+" ümlaut\n", out.String())
}
