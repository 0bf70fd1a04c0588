package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads/gpt2"
)

const (
	maxBody      = 64 << 10
	statusClosed = 499 // the client is gone; only the log records it
)

// service answers requests. It is safe for concurrent use.
type service struct {
	client   *genie.Client
	model    *gpt2.Model
	opts     options
	log      *slog.Logger
	places   chan struct{} // one per running request
	draining atomic.Bool
}

func newService(client *genie.Client, model *gpt2.Model, o options, log *slog.Logger) *service {
	return &service{client: client, model: model, opts: o, log: log, places: make(chan struct{}, o.running)}
}

// request is the body of POST /generate.
type request struct {
	Prompt      string  `json:"prompt"`
	MaxNew      int     `json:"max_new"`
	Temperature float32 `json:"temperature"` // 0 is greedy
	Seed        int64   `json:"seed"`
}

// answer is the response body.
type answer struct {
	Text   string             `json:"text"` // the prompt's continuation
	Tokens int                `json:"tokens"`
	Reason genie.FinishReason `json:"finish_reason"`
	TTFT   float64            `json:"ttft_ms"`
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("POST /generate", s.generate)
	return mux
}

// warm generates one token, so that plans and weights are in place before the
// first request, and a model that does not work fails at startup.
func (s *service) warm(ctx context.Context) error {
	_, err := s.write(ctx, request{Prompt: "It", MaxNew: 1})
	return err
}

// ready tells a load balancer whether to send requests here.
func (s *service) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	if _, err := s.client.Stats(r.Context()); err != nil { // the worker, if there is one, is reachable
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

func (s *service) generate(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		s.refuse(w, http.StatusServiceUnavailable, errors.New("the service is shutting down"))
		return
	}
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	default:
		s.refuse(w, http.StatusServiceUnavailable, fmt.Errorf("%d requests are running", s.opts.running))
		return
	}
	var q request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&q); err != nil {
		s.refuse(w, http.StatusBadRequest, err)
		return
	}
	if q.Prompt == "" || q.MaxNew < 1 || q.MaxNew > s.opts.longest {
		s.refuse(w, http.StatusBadRequest, fmt.Errorf("want a prompt and max_new of 1 to %d", s.opts.longest))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.opts.timeout)
	defer cancel()
	a, err := s.write(ctx, q)
	if err != nil {
		s.refuse(w, status(r.Context(), err), err)
		return
	}
	s.reply(w, http.StatusOK, a)
}

// reply sends a JSON object.
func (s *service) reply(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		s.log.Error("an answer that is not JSON", "error", err)
		status, text = http.StatusInternalServerError, []byte(`{"error": "internal"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // an error means that the client is gone
}

// write continues a prompt in its own session.
func (s *service) write(ctx context.Context, q request) (a *answer, err error) {
	ids, err := s.model.Tokenizer.Encode(q.Prompt)
	if err != nil {
		return nil, err
	}
	session, err := s.client.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	out, err := genie.Generate(ctx, session, s.model.LM, genie.GenerateRequest{
		Prompts: [][]int{ids}, MaxNew: q.MaxNew, Temperature: q.Temperature, Seed: q.Seed,
	})
	if err != nil {
		return nil, err
	}
	text, err := s.model.Tokenizer.Decode(out.Tokens[0])
	if err != nil {
		return nil, err
	}
	return &answer{Text: text, Tokens: len(out.Tokens[0]), Reason: out.Reasons[0], TTFT: out.TTFT.Seconds() * 1e3}, nil
}

// status maps an error to the status that names its cause.
func status(client context.Context, err error) int {
	switch {
	case client.Err() != nil:
		return statusClosed
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, genie.ErrContextLength):
		return http.StatusBadRequest
	case errors.Is(err, genie.ErrOverloaded), errors.Is(err, genie.ErrMemory), errors.Is(err, genie.ErrQuota):
		return http.StatusServiceUnavailable
	case errors.Is(err, genie.ErrUnreachable), errors.Is(err, genie.ErrSessionLost):
		return http.StatusBadGateway
	default:
		return http.StatusInternalServerError
	}
}

func (s *service) refuse(w http.ResponseWriter, status int, err error) {
	s.log.Info("refused", "status", status, "error", err)
	if status == statusClosed {
		return
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(1))
	}
	s.reply(w, status, map[string]string{"error": err.Error()})
}
