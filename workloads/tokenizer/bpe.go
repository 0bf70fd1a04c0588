package tokenizer

import (
	"container/heap"
	"fmt"
	"strings"

	"github.com/gomlx/go-huggingface/tokenizers/hftokenizer"
)

// bpe merges the bytes of a word into tokens.
type bpe struct {
	vocab   map[string]int    // tokens as written in the file: a letter a byte
	letters [256]rune         // byte -> its letter
	single  [256]int          // byte -> its token, absent if the vocabulary lacks it
	last    [256]int          // the same for a word's last byte, which may have a suffix
	merges  map[[2]int]merged // by the ids of the two halves
	whole   bool              // ignore_merges: a word that is a token is that token
	unknown int               // id for a byte without a token, absent when there is none
	fuse    bool              // consecutive bytes without tokens are one unknown token
}

// absent stands for an id that does not exist.
const absent = -1

// merged is a merge rule: two tokens become id; the lowest rank goes first.
type merged struct{ rank, id int }

func newBPE(m *hftokenizer.Model, whole bool) (bpe, error) {
	b := bpe{vocab: m.Vocab, letters: byteLetters(), whole: whole, unknown: absent, fuse: m.FuseUnk}
	for i, letter := range b.letters {
		id, ok := m.Vocab[string(letter)]
		if !ok {
			id = absent
		}
		b.single[i], b.last[i] = id, id
		if m.EndOfWordSuffix == "" {
			continue
		}
		if b.last[i], ok = m.Vocab[string(letter)+m.EndOfWordSuffix]; !ok {
			b.last[i] = absent
		}
	}
	if m.UnkToken != "" {
		id, ok := m.Vocab[m.UnkToken]
		if !ok {
			return bpe{}, fmt.Errorf("%w: unk_token %.40q is not in the vocabulary", ErrBadTokenizer, m.UnkToken)
		}
		b.unknown = id
	}
	b.merges = make(map[[2]int]merged, len(m.Merges))
	for rank, rule := range m.Merges {
		left, right, ok := strings.Cut(rule, " ")
		l, okLeft := m.Vocab[left]
		r, okRight := m.Vocab[right]
		id, okBoth := m.Vocab[left+right]
		if !ok || !okLeft || !okRight || !okBoth {
			return bpe{}, fmt.Errorf("%w: merge %d (%.80q) uses tokens that are not in the vocabulary", ErrBadTokenizer, rank, rule)
		}
		b.merges[[2]int{l, r}] = merged{rank, id}
	}
	return b, nil
}

// symbol is a token of a word that is being merged, in a doubly linked list.
type symbol struct {
	id         int
	prev, next int // absent at the ends
	dead       bool
}

// candidate is a merge that was possible when it was found.
type candidate struct {
	merged
	at    int // index of the left half
	right int // id of the right half when found
	left  int // id of the left half when found
}

// queue holds candidates, lowest rank first, leftmost first among equals.
type queue []candidate

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(candidate)) } //nolint:forcetypeassert // ours alone
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// encode appends the ids of a word. It takes time n log n in the word's length.
func (b *bpe) encode(ids []int, word string) []int {
	if b.whole {
		if id, ok := b.vocab[b.spell(word)]; ok {
			return append(ids, id)
		}
	}
	symbols := b.symbols(word)
	var q queue
	offer := func(at int) {
		if at == absent || symbols[at].next == absent {
			return
		}
		left, right := symbols[at].id, symbols[symbols[at].next].id
		if m, ok := b.merges[[2]int{left, right}]; ok {
			heap.Push(&q, candidate{m, at, right, left})
		}
	}
	for i := range symbols {
		offer(i)
	}
	for q.Len() > 0 {
		c := heap.Pop(&q).(candidate) //nolint:forcetypeassert // ours alone
		s := &symbols[c.at]
		if s.dead || s.id != c.left || s.next == absent || symbols[s.next].id != c.right {
			continue // one of the halves was merged meanwhile
		}
		gone := s.next
		symbols[gone].dead = true
		s.id, s.next = c.id, symbols[gone].next
		if s.next != absent {
			symbols[s.next].prev = c.at
		}
		offer(s.prev)
		offer(c.at)
	}
	for i := range symbols {
		if !symbols[i].dead {
			ids = append(ids, symbols[i].id)
		}
	}
	return ids
}

// symbols returns one symbol per byte. As in the reference, a byte that the
// vocabulary lacks is the unknown token, or is dropped if there is none.
func (b *bpe) symbols(word string) []symbol {
	symbols := make([]symbol, 0, len(word))
	fusing := false
	for i := range len(word) {
		id := b.single[word[i]]
		if i == len(word)-1 {
			id = b.last[word[i]]
		}
		if id == absent {
			if b.unknown == absent || fusing {
				continue
			}
			id, fusing = b.unknown, b.fuse
		} else {
			fusing = false
		}
		n := len(symbols)
		symbols = append(symbols, symbol{id: id, prev: n - 1, next: n + 1})
	}
	if len(symbols) > 0 {
		symbols[len(symbols)-1].next = absent
	}
	return symbols
}

// spell writes a word's bytes as letters, as the vocabulary does.
func (b *bpe) spell(word string) string {
	var s strings.Builder
	for i := range len(word) {
		s.WriteRune(b.letters[word[i]])
	}
	return s.String()
}

// byteLetters returns GPT-2's letter for each byte: printable Latin-1 stands
// for itself, the rest follows from U+0100 on (openai/gpt-2, encoder.py,
// bytes_to_unicode).
func byteLetters() (letters [256]rune) {
	next := rune(256)
	for i := range letters {
		r := rune(i)
		if r >= '!' && r <= '~' || r >= 0xa1 && r <= 0xac || r >= 0xae {
			letters[i] = r
			continue
		}
		letters[i] = next
		next++
	}
	return letters
}

// letterBytes is the inverse of byteLetters.
func letterBytes() map[rune]byte {
	bytesOf := make(map[rune]byte, 256)
	for i, r := range byteLetters() {
		bytesOf[r] = byte(i)
	}
	return bytesOf
}

// fromLetters returns the bytes that a token stands for. A token with a
// character that is no byte's letter, for example an added token, stands for
// its text.
func fromLetters(token string, bytesOf map[rune]byte) []byte {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := bytesOf[r]
		if !ok {
			return []byte(token)
		}
		out = append(out, b)
	}
	return out
}
