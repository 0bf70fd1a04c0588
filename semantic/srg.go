package semantic

import (
	"github.com/genie-sdk/go/internal/normal"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Residency is the lifetime of a tensor's value.
type Residency uint8

// The residencies.
const (
	EphemeralActivation Residency = iota // lives within one run
	PersistentWeight                     // constant content
	StatefulKVCache                      // grows from run to run, read by attention
	ExternalInput                        // comes with each run
	ExternalOutput                       // read by the caller
	RecurrentState                       // carried from run to run, and replaced by a function of itself
)

var residencyNames = [...]string{"ephemeral_activation", "persistent_weight", "stateful_kv_cache", "external_input", "external_output", "recurrent_state"}

// String is the name in the field's vocabulary, such as persistent_weight.
func (r Residency) String() string { return residencyNames[r] }

// MarshalText implements encoding.TextMarshaler.
func (r Residency) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Phase is the part of a model's work to which a run or a node belongs.
type Phase uint8

// The phases.
const (
	PhaseForward Phase = iota
	PhasePrefill
	PhaseDecode
	PhaseVisionEncoding
	PhaseTextEncoding
	PhaseFusion
)

var phaseNames = [...]string{"forward", "llm_prefill", "llm_decode", "vision_encoding", "text_encoding", "multimodal_fusion"}

// String is the name in the field's vocabulary, such as llm_decode.
func (p Phase) String() string { return phaseNames[p] }

// MarshalText implements encoding.TextMarshaler.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Modality is the kind of data from which a tensor was computed.
type Modality uint8

// The modalities.
const (
	ModalityNone Modality = iota // weights and constants, and values computed from these alone
	ModalityText
	ModalityVision
	ModalityAudio
	ModalityFusion // from more than one of the others
)

var modalityNames = [...]string{"none", "text", "vision", "audio", "fusion"}

// String is text, vision, audio, fusion or none.
func (m Modality) String() string { return modalityNames[m] }

// MarshalText implements encoding.TextMarshaler.
func (m Modality) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Node is the analysis result for one tensor.
type Node struct {
	Tensor    *lazy.Tensor
	Residency Residency
	Modality  Modality
	// Branch is 0 outside any fork, else the id of the parallel branch.
	Branch int
	// Attention is set on the tensors of an attention pattern: the id of the
	// pattern, from 1.
	Attention int
	// Sampling is set on tensors that sample a token (sample, argmax over the
	// vocabulary) and on values computed from these alone.
	Sampling bool
	// Dead is set on tensors that no output, carried pair or hint reads.
	Dead bool
}

// CacheMode is how a KV cache takes new rows.
type CacheMode uint8

// The modes.
const (
	CacheAppend CacheMode = iota // concat of the old rows and the new
	CacheWrite                   // rows written at a position of a buffer of constant size
	CacheRoll                    // rows added at the end of a window, and as many dropped at the front
)

// Cache is a carried pair that is a KV cache.
type Cache struct {
	Carry  int // index into lazy.Graph.Carries
	Mode   CacheMode
	Axis   int          // axis of the rows in the carried tensors; Update's operands may use another axis
	Update *lazy.Tensor // the operator that adds the rows
	Rows   *lazy.Tensor // the new rows, as Update reads them; of a concat of several, the first ones
	// Old and New are the numbers of rows before a run and added by it.
	Old, New plan.Dim
	// Query is the number of query rows per sequence of the attention that
	// reads the cache: of the first attention, if there are several, and New if
	// only a hint makes it a cache.
	Query plan.Dim
}

// SRG is a semantically rich graph: a captured program and the meaning of its
// tensors. It is immutable and safe to share.
type SRG struct {
	Graph  *lazy.Graph
	Nodes  []Node // indexed by lazy.Tensor.ID
	Caches []Cache
	// Branches[i] is the branch with id i+1.
	Branches []Branch
	// Notes tell of patterns that nearly matched and why they were not taken.
	Notes []Note

	static Phase        // of a run, when there are no caches
	rows   []cacheRows  // distinct sizes of the caches
	own    []nodePhase  // by tensor id
	stored []plan.DType // by tensor id, see [SRG.storage]

	outputs, carries int // of the program when it was analysed

	form     *normalForm // nil if the program is its own normal form
	captured *SRG        // of the captured program, if this one is of a normal form

	compilations compilations
}

// Note says why a pattern that a part of the program nearly matches was not
// taken, so that it runs as the operators it is written in.
type Note struct {
	Rule   string       // the pattern, such as attention
	At     *lazy.Tensor // the captured tensor that it would have computed
	Reason string       // such as "the mask depends on data"
}

func notesOf(notes []normal.Note) (out []Note) {
	for _, n := range notes {
		out = append(out, Note(n))
	}
	return out
}

// Outdated reports whether the program has grown since its analysis: such an
// SRG cannot be scheduled.
func (s *SRG) Outdated() bool {
	s = s.face()
	g := s.Graph
	return len(g.Tensors()) != len(s.Nodes) || len(g.Outputs()) != s.outputs || len(g.Carries()) != s.carries
}

// cacheRows are the dimensions that decide a profile. Many caches share them.
type cacheRows struct {
	cache      int
	old, query plan.Dim
}

// Branch is a subgraph that shares no intermediate with its siblings between
// fork and join.
type Branch struct {
	ID       int
	Modality Modality
	Nodes    []int // tensor ids
}
