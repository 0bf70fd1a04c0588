package genie

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// GenerateRequest says what to generate. The zero values of the sampling fields
// mean greedy decoding.
type GenerateRequest struct {
	// Prompts are token ids, one list for each sequence of the batch; lengths
	// may differ. None may be empty.
	Prompts [][]int
	// MaxNew is the largest number of new tokens for each sequence.
	MaxNew int
	// Temperature 0 is greedy; TopK 0 and TopP 0 or 1 keep every token.
	Temperature, TopP float32
	TopK              int
	// Seed makes sampling repeatable. Each sequence draws as it would alone;
	// Seeds, if not nil, gives each sequence its own seed.
	Seed  int64
	Seeds []int64
	// Stop lists tokens that end a sequence and are its last; so do the model's
	// end tokens unless IgnoreEOS is set.
	Stop      []int
	IgnoreEOS bool
	// IgnoreSettings ignores the model's own generation settings; otherwise
	// [CausalLM.Check] may refuse the request.
	IgnoreSettings bool
	// OwnStops says that OnToken looks for the stop strings of the model's
	// settings.
	OwnStops bool
	// OnToken, if not nil, is called for each new token as it comes, by the
	// goroutine that called Generate. [ErrStop] ends that sequence with this token,
	// any other error the generation, which returns it. Of the session it may call
	// Close and ExecutorTime alone.
	OnToken func(sequence, token int) error
	// OnLogits, if not nil, gets the logits of each run, f32 [batch, seq,
	// vocab]: the prompt's, then those of each step. What holds for OnToken holds
	// for it; the memory is the callback's.
	OnLogits func(step int, logits transport.Tensor) error
}

// FinishReason says why a sequence ended.
type FinishReason string

// The reasons.
const (
	FinishLength  FinishReason = "length"  // MaxNew tokens
	FinishStop    FinishReason = "stop"    // a stop token
	FinishContext FinishReason = "context" // the model's context is full
)

// Generation is the result of [Generate].
type Generation struct {
	Tokens  [][]int         // new tokens of each sequence
	Reasons []FinishReason  // by sequence
	TTFT    time.Duration   // from the call to the first token, preparation included
	Steps   []time.Duration // from one token to the next, after the first
	// Executor is the time that the executor spent on each run, the prefill
	// first; the rest of a step is transfers and the client's work.
	Executor []time.Duration
	// Rebuilt is how often the session was lost and rebuilt in the process.
	Rebuilt int
	// Wire is the bytes sent and received for it.
	Wire transport.Snapshot
}

// TokensPerSecond is the decoding rate: tokens of all sequences after the first
// token, divided by their time. It is 0 if there was only one token.
func (g *Generation) TokensPerSecond() float64 {
	var d time.Duration
	for _, s := range g.Steps {
		d += s
	}
	n := 0
	for _, t := range g.Tokens {
		n += max(len(t)-1, 0)
	}
	if d == 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// generation is a running call of Generate.
type generation struct {
	s      *Session
	lm     *CausalLM
	r      *GenerateRequest
	batch  int
	pads   []int // padding before each sequence
	length int   // rows so far, padding included
	done   []bool
	early  bool // the caller ended a sequence, which an executor does not know
	inputs Feed // of the current step
	begin  time.Time
	out    *Generation
}

// Generate writes text with a causal model: a prefill over the prompts, then a
// run for each token, the same under every policy and on every executor.
// Carried state that the session has is forgotten first, and other calls of the
// session wait until it has ended. Errors:
// [ErrContextLength] for a prompt that leaves no room, [ErrIndexRange] for a
// token outside the vocabulary, and those of [Session.Run].
func Generate(ctx context.Context, s *Session, lm *CausalLM, r GenerateRequest) (out *Generation, err error) {
	ctx, span := s.c.span(ctx, "genie.Generate", nil)
	defer func() { span.End(err) }()
	g := &generation{s: s, lm: lm, r: &r, batch: len(r.Prompts), begin: time.Now(), out: &Generation{}}
	if err := g.check(); err != nil {
		return nil, err
	}
	ctx, err = s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	before := s.c.Ledger()
	if err := s.startsOver(ctx, g.batch*(g.pads[0]+len(r.Prompts[0])), r.MaxNew); err != nil {
		return nil, err
	}
	if err := g.prepare(ctx); err != nil {
		return nil, err
	}
	if done, err := g.pipelined(ctx); done || err != nil {
		err = enough(g.goOn(ctx, err))
		if len(g.out.Executor) == 0 {
			return nil, err
		}
		g.out.Wire = s.c.Ledger().Sub(before)
		return g.out, err
	}
	if err := s.reset(ctx); err != nil {
		return nil, err
	}
	next, err := g.step(ctx, 0, g.prompt())
	if err != nil {
		return nil, err
	}
	g.out.TTFT = time.Since(g.begin)
	err = enough(g.goOn(ctx, g.decode(ctx, next)))
	g.out.Wire = s.c.Ledger().Sub(before)
	return g.out, err
}

// errEnough ends a loop on an executor after the caller has ended all
// sequences.
var errEnough = errors.New("genie: every text has ended")

// enough is err, and nil when it only ended a loop.
func enough(err error) error {
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// decode generates the rest in the current session; next are the first tokens
// to add.
func (g *generation) decode(ctx context.Context, next []int32) error {
	if looped, err := g.loop(ctx, next); looped || err != nil {
		return err
	}
	for {
		if err := g.accept(next); err != nil || g.finished() {
			return err
		}
		begin := time.Now()
		var err error
		if next, err = g.step(ctx, len(g.out.Steps)+1, g.row(next)); err != nil {
			return err
		}
		g.out.Steps = append(g.out.Steps, time.Since(begin))
	}
}

// prepare prepares the plans of prefill and decode before either is run.
func (g *generation) prepare(ctx context.Context) error {
	phases := []semantic.Phase{semantic.PhasePrefill, semantic.PhaseDecode}
	switch {
	case g.r.OnLogits != nil:
		return nil
	case g.r.MaxNew == 1:
		phases = phases[:1]
	}
	var profiles []semantic.Profile
	for _, p := range phases {
		profiles = append(profiles, semantic.Profile{Phase: p})
	}
	return g.s.prepareAll(ctx, profiles, g.lm.Next)
}

func (g *generation) check() error {
	if err := g.checkShapes(); err != nil || g.lm.Check == nil || g.r.IgnoreSettings {
		return err
	}
	return g.lm.Check(g.r)
}

func (g *generation) checkShapes() error {
	r, longest := g.r, 0
	if g.batch == 0 || r.MaxNew < 1 {
		return fmt.Errorf("%w: %d prompts, %d new tokens", ErrShape, g.batch, r.MaxNew)
	}
	if r.Seeds != nil && len(r.Seeds) != g.batch {
		return fmt.Errorf("%w: %d seeds for %d prompts", ErrShape, len(r.Seeds), g.batch)
	}
	vocab, known := g.lm.Logits.Dim(2).Const()
	for i, p := range r.Prompts {
		if len(p) == 0 {
			return fmt.Errorf("%w: prompt %d is empty", ErrShape, i)
		}
		for j, t := range p {
			if t < 0 || t > math.MaxInt32 || known && t >= vocab {
				return fmt.Errorf("%w: token %d at position %d of prompt %d, the vocabulary has %d", ErrIndexRange, t, j, i, vocab)
			}
		}
		if g.lm.Context > 0 && len(p) > g.lm.Context {
			return fmt.Errorf("%w: prompt %d has %d tokens, the model takes %d", ErrContextLength, i, len(p), g.lm.Context)
		}
		longest = max(longest, len(p))
	}
	g.pads = make([]int, g.batch)
	g.done = make([]bool, g.batch)
	g.out.Tokens = make([][]int, g.batch)
	g.out.Reasons = make([]FinishReason, g.batch)
	for i, p := range r.Prompts {
		g.pads[i] = longest - len(p)
		if g.pads[i] > 0 && g.lm.Start == nil {
			return fmt.Errorf("%w: prompts of different lengths, and the model has no start input", ErrShape)
		}
	}
	return nil
}

// prompt is the prompts padded on the left, row by row.
func (g *generation) prompt() [][]int {
	rows := make([][]int, g.batch)
	for i, p := range g.r.Prompts {
		rows[i] = append(make([]int, g.pads[i]), p...)
	}
	return rows
}

func (g *generation) row(next []int32) [][]int {
	rows := make([][]int, g.batch)
	for i, t := range next {
		rows[i] = []int{int(t)}
	}
	return rows
}

// step runs the model over new rows and returns the token after each sequence.
func (g *generation) step(ctx context.Context, n int, rows [][]int) ([]int32, error) {
	feed := g.feed(rows)
	g.length += len(rows[0])
	outputs := []*lazy.Tensor{g.lm.Next}
	if g.r.OnLogits != nil {
		outputs = append(outputs, g.lm.Logits)
	}
	out, err := g.s.runNow(ctx, feed, false, outputs)
	if err != nil {
		return nil, err
	}
	g.out.Executor = append(g.out.Executor, g.s.ExecutorTime())
	if g.r.OnLogits != nil {
		logits := out[1].t
		if n > 0 && len(rows[0]) > 1 { // a replay
			logits = lastRow(logits)
		}
		if err := g.r.OnLogits(n, logits); err != nil {
			return nil, err
		}
	}
	return out[0].Int32s(ctx)
}

func (g *generation) feed(rows [][]int) Feed {
	seq := len(rows[0])
	tokens := make([]int32, 0, g.batch*seq)
	positions := make([]int32, 0, g.batch*seq)
	for i, row := range rows {
		for j, t := range row {
			tokens = append(tokens, int32(t))
			// A finished sequence only keeps its place in the batch.
			at := max(0, g.length+j-g.pads[i])
			if g.lm.Context > 0 {
				at = min(at, g.lm.Context-1)
			}
			positions = append(positions, int32(at))
		}
	}
	if g.inputs == nil {
		g.inputs = g.constantFeed()
	}
	g.inputs[g.lm.Tokens.Name()] = Int32s(tokens, g.batch, seq)
	g.inputs[g.lm.Positions.Name()] = Int32s(positions, g.batch, seq)
	return g.inputs
}

// constantFeed is the inputs that are the same at every step.
func (g *generation) constantFeed() Feed {
	f := Feed{
		inputTemperature: g.floats(g.r.Temperature),
		inputTopP:        g.floats(topP(g.r.TopP)),
		inputTopK:        Int32s(repeat(int32(g.r.TopK), g.batch), g.batch),
		inputSeed:        g.seeds(),
	}
	if g.lm.Start != nil {
		start := make([]int32, g.batch)
		for i, p := range g.pads {
			start[i] = int32(p)
		}
		f[g.lm.Start.Name()] = Int32s(start, g.batch)
	}
	return f
}

// topP maps the zero value to "keep everything".
func topP(p float32) float32 {
	if p <= 0 {
		return 1
	}
	return p
}

func repeat[T any](v T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func (g *generation) floats(v float32) *Value { return Float32s(repeat(v, g.batch), g.batch) }

func (g *generation) seeds() *Value {
	if g.r.Seeds != nil {
		return Int64s(g.r.Seeds, g.batch)
	}
	b := make([]byte, 0, 8*g.batch)
	for range g.batch {
		b = binary.LittleEndian.AppendUint64(b, uint64(g.r.Seed))
	}
	return FromTensor(transport.Tensor{DType: plan.I64, Shape: []int{g.batch}, Data: b})
}

// accept adds a token to each unfinished sequence.
func (g *generation) accept(next []int32) error {
	for i, t := range next {
		if g.done[i] {
			continue
		}
		tok := int(t)
		g.out.Tokens[i] = append(g.out.Tokens[i], tok)
		if g.r.OnToken != nil {
			err := g.r.OnToken(i, tok)
			if errors.Is(err, ErrStop) {
				g.done[i], g.out.Reasons[i], g.early = true, FinishStop, true
				continue
			}
			if err != nil {
				return err
			}
		}
		eos := g.lm.ends(tok) && !g.r.IgnoreEOS
		switch {
		case eos || slices.Contains(g.r.Stop, tok):
			g.done[i], g.out.Reasons[i] = true, FinishStop
		case len(g.out.Tokens[i]) >= g.r.MaxNew:
			g.done[i], g.out.Reasons[i] = true, FinishLength
		case g.lm.Context > 0 && len(g.r.Prompts[i])+len(g.out.Tokens[i]) > g.lm.Context:
			g.done[i], g.out.Reasons[i] = true, FinishContext
		}
	}
	return nil
}

func (g *generation) finished() bool { return !slices.Contains(g.done, false) }
