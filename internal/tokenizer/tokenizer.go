package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/gomlx/go-huggingface/tokenizers/hftokenizer"
)

var (
	// ErrNoTokenizer marks a directory without tokenizer.json.
	ErrNoTokenizer = errors.New("genie: no tokenizer.json")
	// ErrBadTokenizer marks a tokenizer.json that is broken or contradicts itself.
	ErrBadTokenizer = errors.New("genie: bad tokenizer.json")
	// ErrUnsupported marks a tokenizer.json that asks for something this
	// package does not do exactly as the reference does.
	ErrUnsupported = errors.New("genie: unsupported tokenizer")
	// ErrUnknownToken marks an id that the vocabulary does not have.
	ErrUnknownToken = errors.New("genie: unknown token id")
	// ErrInvalidText marks text that is not UTF-8.
	ErrInvalidText = errors.New("genie: text is not valid UTF-8")
)

const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	specialFile   = "special_tokens_map.json"

	maxFileBytes = 256 << 20
	maxTokenID   = 1 << 24
)

// Tokenizer is a loaded tokenizer.json. It does not change and is safe for
// concurrent use.
type Tokenizer struct {
	lib         *hftokenizer.Tokenizer
	normalizes  bool
	prefixSpace bool // add_prefix_space: every piece of text begins with one
	added       []addedToken
	model       bpe
	before      []int          // ids that post-processing puts first
	after       []int          // and last
	text        map[int][]byte // what each id decodes to
	eos         int            // -1 when there is none
}

// Load reads tokenizer.json in dir, and tokenizer_config.json or
// special_tokens_map.json for the end-of-sequence token when they are there.
// The error wraps [ErrNoTokenizer], [ErrBadTokenizer] or [ErrUnsupported], or
// is the system's.
func Load(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, tokenizerFile)
	content, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoTokenizer, path)
	}
	if err != nil {
		return nil, err
	}
	t, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	if t.eos, err = t.findEOS(dir); err != nil {
		return nil, err
	}
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

// Encode returns the ids of text. Added tokens such as "<|endoftext|>" are
// recognised in it, as the reference does. It does not truncate or pad,
// whatever tokenizer.json says about that. The error wraps [ErrInvalidText].
func (t *Tokenizer) Encode(text string) (ids []int, err error) {
	defer guard(&err)
	if !utf8.ValidString(text) {
		return nil, ErrInvalidText
	}
	ids = append(make([]int, 0, len(t.before)+len(text)/3+len(t.after)), t.before...)
	for text != "" {
		start, end, id := findAdded(t.added, text)
		ids = t.encodePlain(ids, text[:start])
		if end > start {
			ids = append(ids, id)
		}
		text = text[end:]
	}
	return append(ids, t.after...), nil
}

// encodePlain appends the ids of text that holds no added token.
func (t *Tokenizer) encodePlain(ids []int, text string) []int {
	if t.normalizes {
		text = t.lib.Normalize(text)
	}
	if text == "" {
		return ids
	}
	if t.prefixSpace && !strings.HasPrefix(text, " ") {
		text = " " + text
	}
	for text != "" {
		n := nextWord(text)
		ids = t.model.encode(ids, text[:n])
		text = text[n:]
	}
	return ids
}

// Decode returns the text of ids, special tokens included. Bytes that are no
// UTF-8, as half a character is, become U+FFFD as in the reference. The error
// wraps [ErrUnknownToken].
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
	return text, nil
}

// EOS returns the id of the end-of-sequence token, and false when the
// tokenizer has none.
func (t *Tokenizer) EOS() (int, bool) { return max(t.eos, 0), t.eos >= 0 }

// Size returns the number of ids that decode to something. Ids need not be
// consecutive, and a model may have more.
func (t *Tokenizer) Size() int { return len(t.text) }

// findEOS looks for the token that the files beside tokenizer.json name, and
// falls back to the usual names among the special tokens.
func (t *Tokenizer) findEOS(dir string) (int, error) {
	for _, name := range []string{configFile, specialFile} {
		content, err := readFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return -1, err
		}
		var file struct {
			EOS json.RawMessage `json:"eos_token"`
		}
		if err := json.Unmarshal(content, &file); err != nil {
			return -1, fmt.Errorf("%w: %s: %w", ErrBadTokenizer, filepath.Join(dir, name), err)
		}
		token := tokenText(file.EOS)
		if token == "" {
			continue
		}
		id, ok := t.lib.TokenToID(token)
		if !ok {
			return -1, fmt.Errorf("%w: %s: eos_token %q is not in the vocabulary", ErrBadTokenizer, filepath.Join(dir, name), token)
		}
		return id, nil
	}
	for _, token := range []string{"<|endoftext|>", "</s>", "<|eot_id|>", "<|im_end|>"} {
		for _, a := range t.added {
			if a.special && a.content == token {
				return a.id, nil
			}
		}
	}
	return -1, nil
}

// tokenText reads a token as these files write it: a string, or an object
// with the string in "content".
func tokenText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var object struct {
		Content string `json:"content"`
	}
	_ = json.Unmarshal(raw, &object) // anything else is no token
	return object.Content
}
