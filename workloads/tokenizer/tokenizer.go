package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gomlx/go-huggingface/tokenizers/hftokenizer"
)

var (
	// ErrNoTokenizer marks a directory without tokenizer.json.
	ErrNoTokenizer = errors.New("genie: no tokenizer.json")
	// ErrBadTokenizer marks a tokenizer.json that is broken or contradicts itself.
	ErrBadTokenizer = errors.New("genie: bad tokenizer.json")
	// ErrUnsupported marks a tokenizer.json with a setting that this package
	// does not implement exactly as the reference does.
	ErrUnsupported = errors.New("genie: unsupported tokenizer")
	// ErrUnknownToken marks an id that the vocabulary does not have.
	ErrUnknownToken = errors.New("genie: unknown token id")
	// ErrInvalidText marks text that is not UTF-8.
	ErrInvalidText = errors.New("genie: text is not valid UTF-8")
)

const (
	maxFileBytes = 256 << 20
	maxTokenID   = 1 << 24
)

// Tokenizer is a loaded tokenizer.json. It is immutable and safe for concurrent
// use.
type Tokenizer struct {
	lib         *hftokenizer.Tokenizer // nil without normalisation
	split       split
	clip        bool // CLIP's split before GPT-2's
	prefixSpace bool // add_prefix_space: every piece of text begins with a space
	added       []addedToken
	addedAfter  []addedToken // those that are searched for in normalised text
	model       bpe
	before      []int          // ids that post-processing puts before the text
	after       []int          // ids that it puts after the text
	text        map[int][]byte // text of each id
	suffix      string         // suffix of a word's last token
	eos, pad    int            // absent when there is none
}

// Load reads tokenizer.json in dir and the files beside it that complete it:
// tokenizer_config.json, special_tokens_map.json, added_tokens.json, and the
// model type in config.json. The error wraps [ErrNoTokenizer],
// [ErrBadTokenizer] or [ErrUnsupported], or is the system's.
func Load(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, tokenizerFile)
	content, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoTokenizer, path)
	}
	if err != nil {
		return nil, err
	}
	s, err := readSettings(dir)
	if err != nil {
		return nil, err
	}
	t, err := parse(content, s)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	t.eos, t.pad = t.findEOS(s), t.find(s.named["pad_token"])
	return t, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrBadTokenizer, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // *fs.PathError names the path
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes", ErrBadTokenizer, path, maxFileBytes)
	}
	return content, nil
}

// guard turns a panic of the library into an error.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", ErrBadTokenizer, r)
	}
}

// Encode returns the ids of text. Like the reference it recognises added tokens
// such as "<|endoftext|>" in the text. It does not truncate or pad, whatever
// tokenizer.json says about that. The error wraps [ErrInvalidText].
func (t *Tokenizer) Encode(text string) (ids []int, err error) {
	defer guard(&err)
	if !utf8.ValidString(text) {
		return nil, ErrInvalidText
	}
	ids = append(make([]int, 0, len(t.before)+len(text)/3+len(t.after)), t.before...)
	return append(t.encodeText(ids, text), t.after...), nil
}

// encodeText appends the ids of text without those that post-processing adds.
func (t *Tokenizer) encodeText(ids []int, text string) []int {
	return encodeBetween(ids, text, t.added, func(ids []int, text string) []int {
		return encodeBetween(ids, t.normalize(text), t.addedAfter, t.encodePlain)
	})
}

// encodeBetween appends the ids of added tokens in text, and plain's result for
// the text between them.
func encodeBetween(ids []int, text string, added []addedToken, plain func(ids []int, text string) []int) []int {
	for text != "" {
		start, end, id := findAdded(added, text)
		ids = plain(ids, text[:start])
		if end > start {
			ids = append(ids, id)
		}
		text = text[end:]
	}
	return ids
}

// normalize applies the file's normalizer to text.
func (t *Tokenizer) normalize(text string) string {
	if t.lib == nil {
		return text
	}
	if t.clip {
		// The only letter whose lower case has two characters; Go's has one.
		text = dottedI.Replace(text)
	}
	return t.lib.Normalize(text)
}

// encodePlain appends the ids of normalised text without added tokens.
func (t *Tokenizer) encodePlain(ids []int, text string) []int {
	if t.clip {
		return t.encodeCLIP(ids, text)
	}
	if t.split.digits == noDigits {
		return t.encodeWords(ids, text)
	}
	digitPieces(text, t.split.digits == eachDigit, func(piece string) { ids = t.encodeWords(ids, piece) })
	return ids
}

// encodeWords applies ByteLevel to a piece of text.
func (t *Tokenizer) encodeWords(ids []int, text string) []int {
	if text == "" {
		return ids
	}
	if t.prefixSpace && !strings.HasPrefix(text, " ") {
		text = " " + text
	}
	if t.split.whole {
		return t.model.encode(ids, text)
	}
	for text != "" {
		n := nextWord(text)
		ids = t.model.encode(ids, text[:n])
		text = text[n:]
	}
	return ids
}

// Decode returns the text of ids, special tokens included. As in the reference,
// bytes that are not UTF-8, for example half a character, become U+FFFD. CLIP's
// tokens mark where words end but not which white space follows: it becomes one
// space, and none at the ends. The error wraps [ErrUnknownToken].
func (t *Tokenizer) Decode(ids []int) (string, error) {
	var raw []byte
	for _, id := range ids {
		b, ok := t.text[id]
		if !ok {
			return "", fmt.Errorf("%w: %d", ErrUnknownToken, id)
		}
		raw = append(raw, b...)
	}
	text, _ := wholeCharacters(raw, true)
	if t.clip {
		text = strings.TrimSpace(text)
	}
	return text, nil
}

// EOS returns the id of the end-of-sequence token, and false if the tokenizer
// has none.
func (t *Tokenizer) EOS() (int, bool) { return max(t.eos, 0), t.eos >= 0 }

// Size returns the number of ids with a text. Ids need not be consecutive, and
// a model may have more.
func (t *Tokenizer) Size() int { return len(t.text) }

// Pad returns the id of the padding token, the end-of-sequence token if the
// tokenizer has no other, and false if it has neither.
func (t *Tokenizer) Pad() (int, bool) {
	if t.pad >= 0 {
		return t.pad, true
	}
	return t.EOS()
}

// findEOS is the token that the settings name, or else one of the usual names
// among the special tokens.
func (t *Tokenizer) findEOS(s *settings) int {
	if id := t.find(s.named["eos_token"]); id != absent {
		return id
	}
	for _, token := range []string{"<|endoftext|>", "</s>", "<|eot_id|>", "<|im_end|>"} {
		for _, a := range slices.Concat(t.added, t.addedAfter) {
			if a.special && a.content == token {
				return a.id
			}
		}
	}
	return absent
}
