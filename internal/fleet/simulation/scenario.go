package simulation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/genie-sdk/go/semantic"
)

// ErrScenario is the cause of errors about a scenario.
var ErrScenario = errors.New("genie: scenario")

// MaxScenario is the largest scenario file, in bytes.
const MaxScenario = 1 << 20

// Scenario is a fleet and what is asked of it. The form of the file, with bounds
// and defaults, is in docs/simulation.md.
type Scenario struct {
	Name   string   `json:"name"`
	About  string   `json:"about,omitempty"`
	Seed   uint64   `json:"seed,omitempty"`
	Second float64  `json:"seconds"` // in which sessions begin
	Report float64  `json:"report_seconds,omitempty"`
	Filter float64  `json:"filter_seconds,omitempty"` // 0: workers do not say what they hold
	Detect float64  `json:"detect_seconds,omitempty"` // until a lost worker is noticed
	Target float64  `json:"target_p99_seconds,omitempty"`
	Router []string `json:"routers,omitempty"`
	Day    *Day     `json:"day,omitempty"`

	Devices  map[string]semantic.Device `json:"devices,omitempty"`
	Models   []Model                    `json:"models"`
	Workers  []Workers                  `json:"workers"`
	Sessions []Sessions                 `json:"sessions"`
	Drains   []Drain                    `json:"drains,omitempty"`
}

// Day is how the rate of new sessions changes: rate * (1 + amplitude *
// sin(2 pi t / seconds)).
type Day struct {
	Seconds   float64 `json:"seconds"`
	Amplitude float64 `json:"amplitude"`
}

// Model is a decoder.
type Model struct {
	Name    string `json:"name"`
	Layers  int    `json:"layers"`
	Hidden  int    `json:"hidden"`
	Heads   int    `json:"heads"`
	KVHeads int    `json:"kv_heads,omitempty"` // heads when 0
	Inner   int    `json:"inner,omitempty"`    // 4 * hidden when 0
	Vocab   int    `json:"vocab"`
	Storage string `json:"storage,omitempty"` // of weights: f32, f16, bf16, the default
}

// Workers is a number of equal workers.
type Workers struct {
	Name     string   `json:"name"`
	Count    int      `json:"count"`
	Device   string   `json:"device"` // a GPU by its published figures, "cpu", or one of devices
	Memory   float64  `json:"memory_gib"`
	Models   []string `json:"models"` // whose weights it holds
	Link     Link     `json:"link"`
	MaxBatch int      `json:"max_batch,omitempty"`
	Chunk    int      `json:"chunk,omitempty"` // rows of a prompt between two tokens of the others
	Fails    float64  `json:"fails,omitempty"` // failures of one worker in an hour
	Repair   float64  `json:"repair_seconds,omitempty"`
}

// Link is how a worker is reached, from clients and other workers.
type Link struct {
	Gbit  float64 `json:"gbit"`
	Delay float64 `json:"delay_ms,omitempty"` // one way
}

// Sessions is a number of sessions alike.
type Sessions struct {
	Name     string    `json:"name"`
	Model    string    `json:"model"`
	Class    string    `json:"class,omitempty"` // interactive, the default, standard or batch
	Count    int       `json:"count"`
	Tenants  int       `json:"tenants,omitempty"`
	Prefixes *Prefixes `json:"prefixes,omitempty"`
	Turns    Range     `json:"turns"`
	Prompt   Range     `json:"prompt"` // tokens that a turn adds
	Output   Range     `json:"output"` // tokens that a turn generates
	Think    FRange    `json:"think_seconds,omitzero"`
}

// Prefixes are prompts that sessions share, such as those that describe a task.
// The n-th most frequent one has a share in proportion to n^-skew. Even ones have
// equal numbers of sessions, not just equal chances.
type Prefixes struct {
	Count  int     `json:"count"`
	Tokens int     `json:"tokens"`
	Skew   float64 `json:"skew,omitempty"`
	Even   bool    `json:"even,omitempty"`
}

// Range is numbers from Min to Max, each as likely.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// FRange is numbers from Min to Max, each as likely.
type FRange struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// Drain takes workers of a group out of service for a while: they take nothing
// new, and stop when their grace is over.
type Drain struct {
	At     float64 `json:"at_seconds"`
	Group  string  `json:"group"`
	Count  int     `json:"count"`
	Grace  float64 `json:"grace_seconds"`
	Absent float64 `json:"absent_seconds"`
}

// Parse reads a scenario and checks it. Keys that it does not know are errors.
func Parse(r io.Reader) (*Scenario, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxScenario+1))
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	if len(text) > MaxScenario {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrScenario, MaxScenario)
	}
	s := &Scenario{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil { //nolint:musttag // a device has the names of its fields
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows it", ErrScenario)
	}
	s.complete()
	return s, s.check()
}

// complete sets what was left out.
func (s *Scenario) complete() {
	if s.Report == 0 {
		s.Report = 1
	}
	if s.Detect == 0 {
		s.Detect = 1
	}
	for i := range s.Models {
		m := &s.Models[i]
		if m.KVHeads == 0 {
			m.KVHeads = m.Heads
		}
		if m.Inner == 0 {
			m.Inner = 4 * m.Hidden
		}
		if m.Storage == "" {
			m.Storage = "bf16"
		}
	}
	for i := range s.Workers {
		w := &s.Workers[i]
		if w.MaxBatch == 0 {
			w.MaxBatch = 64
		}
		if w.Chunk == 0 {
			w.Chunk = 512
		}
	}
	for i := range s.Sessions {
		g := &s.Sessions[i]
		if g.Class == "" {
			g.Class = "interactive"
		}
		if g.Tenants == 0 {
			g.Tenants = 1
		}
	}
}
