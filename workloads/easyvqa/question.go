package easyvqa

import (
	"errors"
	"fmt"
	"strings"
)

// ErrWord marks a question that the network cannot read: it has a word outside
// the vocabulary, or no word at all.
var ErrWord = errors.New("genie: question outside the vocabulary")

// pad is the id of the empty word. Its embedding is zeros, so it adds nothing
// to a question.
const pad = 0

// Words are the words of a question: its runs of the letters a to z, in lower
// case. All other characters separate words.
func Words(question string) []string {
	return strings.FieldsFunc(lower(question), func(r rune) bool { return r < 'a' || r > 'z' })
}

// lower changes only A to Z: other Unicode capitals, such as the Kelvin sign,
// are not letters here.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// vocabulary is the ids of words.
type vocabulary map[string]int32

func newVocabulary(words []string) vocabulary {
	v := make(vocabulary, len(words))
	for i, w := range words {
		v[w] = int32(i)
	}
	return v
}

// encode is the ids of a question's words. The error wraps [ErrWord].
func (v vocabulary) encode(question string) ([]int32, error) {
	words := Words(question)
	if len(words) == 0 {
		return nil, fmt.Errorf("%w: %.80q has no words", ErrWord, question)
	}
	ids := make([]int32, len(words))
	for i, w := range words {
		id, ok := v[w]
		if !ok {
			return nil, fmt.Errorf("%w: %.40q in %.80q", ErrWord, w, question)
		}
		ids[i] = id
	}
	return ids, nil
}

// encodeAll is the ids of several questions, [questions, longest], with [pad]
// after short ones.
func (v vocabulary) encodeAll(questions []Question) (ids []int32, longest int, err error) {
	rows := make([][]int32, len(questions))
	for i, q := range questions {
		if rows[i], err = v.encode(q.Text); err != nil {
			return nil, 0, err
		}
		longest = max(longest, len(rows[i]))
	}
	ids = make([]int32, len(rows)*longest)
	for i, r := range rows {
		copy(ids[i*longest:], r)
	}
	return ids, longest, nil
}
