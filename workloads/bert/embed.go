package bert

import (
	"context"
	"fmt"
	"math"

	"github.com/genie-sdk/go/genie"
)

// Feed makes the inputs of a run from sentences of one segment, padded to the
// longest. In a RoBERTa, a padding token within a sentence is a token that
// others attend to, at the position of padding, as in transformers. Errors:
// [genie.ErrIndexRange] for an empty sentence or an id that the model lacks,
// [genie.ErrContextLength] for a sentence that is too long.
func (m *Model) Feed(sentences [][]int) (genie.Feed, error) {
	longest := 0
	for i, s := range sentences {
		if n := m.Config.placed(s); n > m.Config.Longest() {
			return nil, fmt.Errorf("%w: sentence %d has %d tokens, the model reads %d", genie.ErrContextLength, i, n, m.Config.Longest())
		}
		if len(s) == 0 {
			return nil, fmt.Errorf("%w: sentence %d has no tokens", genie.ErrIndexRange, i)
		}
		for _, id := range s {
			if id < 0 || id >= m.Config.Vocab {
				return nil, fmt.Errorf("%w: token %d in sentence %d, the vocabulary has %d", genie.ErrIndexRange, id, i, m.Config.Vocab)
			}
		}
		longest = max(longest, len(s))
	}
	if longest == 0 {
		return nil, fmt.Errorf("%w: no sentences", genie.ErrShape)
	}
	n := len(sentences)
	tokens, mask := make([]int32, n*longest), make([]int32, n*longest)
	for i, s := range sentences {
		for j, id := range s {
			tokens[i*longest+j], mask[i*longest+j] = int32(id), 1
		}
	}
	return genie.Feed{
		"tokens":    genie.Int32s(tokens, n, longest),
		"types":     genie.Int32s(make([]int32, n*longest), n, longest),
		"mask":      genie.Int32s(mask, n, longest),
		"positions": m.Config.positions(sentences, longest),
	}, nil
}

// placed is the number of tokens of a sentence that have a position of their
// own.
func (c Config) placed(sentence []int) int {
	n := len(sentence)
	for _, id := range sentence {
		if c.roberta() && id == c.Padding {
			n--
		}
	}
	return n
}

// positions are the positions of the tokens of sentences padded to longest.
func (c Config) positions(sentences [][]int, longest int) *genie.Value {
	if !c.roberta() {
		places := make([]int32, longest)
		for j := range places {
			places[j] = int32(j)
		}
		return genie.Int32s(places, 1, longest)
	}
	// No token attends to the padding at the end; it gets padding's position.
	places := make([]int32, len(sentences)*longest)
	for i := range places {
		places[i] = int32(max(c.Padding, 0))
	}
	for i, s := range sentences {
		next := c.Padding
		for j, id := range s {
			if id != c.Padding {
				next++
				places[i*longest+j] = int32(next)
			}
		}
	}
	return genie.Int32s(places, len(sentences), longest)
}

// Embed computes a vector of length 1 [hidden] for each sentence. Errors are
// those of [Model.Feed] and of [genie.Session.Run].
func (m *Model) Embed(ctx context.Context, s *genie.Session, sentences [][]int) ([][]float32, error) {
	feed, err := m.Feed(sentences)
	if err != nil {
		return nil, err
	}
	out, err := s.Run(ctx, feed, m.Mean)
	if err != nil {
		return nil, err
	}
	all, err := out[0].Float32s(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([][]float32, len(sentences))
	for i := range rows {
		rows[i] = all[i*m.Config.Hidden : (i+1)*m.Config.Hidden]
		normalise(rows[i])
	}
	return rows, nil
}

func normalise(x []float32) {
	length := math.Sqrt(Dot(x, x))
	for i, v := range x {
		x[i] = float32(float64(v) / max(length, 1e-12))
	}
}

// Dot is the product of two vectors: the cosine for those of [Model.Embed].
func Dot(a, b []float32) float64 {
	sum := 0.0
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}
