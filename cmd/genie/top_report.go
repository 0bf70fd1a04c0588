package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/genie-sdk/go/transport/plan"
)

// topReport is the activity of a worker between two updates, and its current
// state.
type topReport struct {
	Time     time.Time `json:"time"`
	Interval float64   `json:"interval_s"`
	Version  string    `json:"version"`
	CPU      string    `json:"cpu"`
	Ready    bool      `json:"ready"`

	Connections float64 `json:"connections"`
	Sessions    float64 `json:"sessions"`
	Queue       float64 `json:"queue"`
	Running     float64 `json:"running"`
	QueueWait   float64 `json:"queue_wait_ms"` // mean of the interval
	Tokens      float64 `json:"tok_per_s"`
	Runs        float64 `json:"runs_per_s"`
	Requests    float64 `json:"requests_per_s"`
	Errors      float64 `json:"errors_per_s"`

	Memory   map[string]float64  `json:"memory_bytes"` // by kind
	Received map[string]topBytes `json:"received"`     // by cause
	Sent     map[string]topBytes `json:"sent"`         // by cause
}

// topBytes is the bytes of one cause in one direction.
type topBytes struct {
	Total float64 `json:"bytes"`
	Rate  float64 `json:"bytes_per_s"`
}

// startTime is the metric that distinguishes one run of a worker from another.
const startTime = "process_start_time_seconds"

func newTopReport(before, now *scraped) *topReport {
	const p = "genie_worker_"
	if before.values[startTime] != now.values[startTime] { // the worker has restarted in between
		before = &scraped{at: before.at}
	}
	seconds := now.at.Sub(before.at).Seconds()
	value := func(name string) float64 { return now.values[p+name] }
	total := func(s *scraped, name string, labels ...string) (n float64) {
		for _, l := range s.labels[p+name] {
			n += s.values[key(p+name, l, labels...)]
		}
		return n
	}
	rate := func(before, now float64) float64 { return (now - before) / seconds }
	r := &topReport{
		Time: now.at, Interval: seconds, Ready: value("ready") == 1,
		Connections: value("connections"), Sessions: value("sessions"),
		Queue: value("queue_length"), Running: value("requests_running"),
		Tokens:   rate(before.values[p+"tokens_total"], value("tokens_total")),
		Runs:     rate(before.values[p+"runs_total"], value("runs_total")),
		Requests: rate(total(before, "requests_total", "type"), total(now, "requests_total", "type")),
		Errors:   rate(total(before, "request_errors_total", "code", "type"), total(now, "request_errors_total", "code", "type")),
		Memory:   map[string]float64{}, Received: map[string]topBytes{}, Sent: map[string]topBytes{},
	}
	if waits := value("queue_wait_seconds_count") - before.values[p+"queue_wait_seconds_count"]; waits > 0 {
		r.QueueWait = 1e3 * (value("queue_wait_seconds_sum") - before.values[p+"queue_wait_seconds_sum"]) / waits
	}
	for _, l := range now.labels[p+"info"] {
		r.Version, r.CPU = l["version"], l["cpu"]
	}
	for _, l := range now.labels[p+"memory_bytes"] {
		kind := l["kind"]
		if kind == "kept" { // a worker of version 0.1
			kind = "retained"
		}
		r.Memory[kind] = now.values[key(p+"memory_bytes", l, "kind")]
	}
	for _, l := range now.labels[p+"wire_bytes_total"] {
		k := key(p+"wire_bytes_total", l, "cause", "direction")
		b := topBytes{now.values[k], rate(before.values[k], now.values[k])}
		if l["direction"] == "sent" {
			r.Sent[l["cause"]] = b
		} else {
			r.Received[l["cause"]] = b
		}
	}
	return r
}

// table writes a report on the worker at the given address as text.
func (r *topReport) table(at string) string {
	return fmt.Sprintf("%s  %s\n\n%s", r.state(at), r.about(), r.body())
}

// state is the address, the time, and whether the worker is ready.
func (r *topReport) state(at string) string {
	state := "ready"
	if !r.Ready {
		state = "SHUTTING DOWN"
	}
	return fmt.Sprintf("%s  %s  %s", at, r.Time.Format(time.TimeOnly), state)
}

func (r *topReport) about() string {
	return fmt.Sprintf("version %s, kernels %s, last %.1f s", r.Version, r.CPU, r.Interval)
}

// body is the numbers, of at most 60 columns.
func (r *topReport) body() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { _, _ = fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") }
	number := func(v float64) string { return fmt.Sprintf("%.0f", v) }
	decimal := func(v float64) string { return fmt.Sprintf("%.1f", v) }
	row("sessions", "connections", "queue", "running", "wait ms")
	row(number(r.Sessions), number(r.Connections), number(r.Queue), number(r.Running), fmt.Sprintf("%.2f", r.QueueWait))
	row()
	row("tok/s", "runs/s", "requests/s", "errors/s")
	row(decimal(r.Tokens), decimal(r.Runs), decimal(r.Requests), decimal(r.Errors))
	row()
	row("memory", "bytes")
	for _, kind := range kinds(r.Memory) {
		row(kind, amount(r.Memory[kind]))
	}
	row()
	row("bytes by cause", "received/s", "sent/s", "received", "sent")
	var in, out topBytes
	for c := range plan.NumCauses {
		name := plan.Cause(c).String()
		received, sent := r.Received[name], r.Sent[name]
		row(name, amount(received.Rate), amount(sent.Rate), amount(received.Total), amount(sent.Total))
		in, out = topBytes{in.Total + received.Total, in.Rate + received.Rate}, topBytes{out.Total + sent.Total, out.Rate + sent.Rate}
	}
	row("all", amount(in.Rate), amount(out.Rate), amount(in.Total), amount(out.Total))
	_ = w.Flush() // to memory
	return trimLines(b.String())
}

// kinds are the kinds of memory, the usual ones first.
func kinds(memory map[string]float64) []string {
	out := []string{"weights", "state", "retained", "scratch", "staging"}
	var more []string
	for k := range memory {
		if !slices.Contains(out, k) {
			more = append(more, k)
		}
	}
	slices.Sort(more)
	return append(out, more...)
}

func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
