package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/go-huggingface/tokenizers/hftokenizer"
)

// extra has the fields of tokenizer.json that the library's types lack.
type extra struct {
	PreTokenizer  preTokenizer   `json:"pre_tokenizer"`
	PostProcessor *postProcessor `json:"post_processor"`
	Model         struct {
		IgnoreMerges bool `json:"ignore_merges"`
	} `json:"model"`
}

type preTokenizer struct {
	UseRegex *bool `json:"use_regex"`
	// IndividualDigits is of Digits.
	IndividualDigits *bool          `json:"individual_digits"`
	PreTokenizers    []preTokenizer `json:"pretokenizers"`
}

type postProcessor struct {
	Type          string                                      `json:"type"`
	Sep           namedID                                     `json:"sep"` // of RobertaProcessing
	Cls           namedID                                     `json:"cls"`
	Single        []hftokenizer.PostProcItem                  `json:"single"`
	SpecialTokens map[string]hftokenizer.PostProcSpecialToken `json:"special_tokens"`
	Processors    []postProcessor                             `json:"processors"`
}

// namedID is a token as ["text", id].
type namedID struct {
	id   int
	name string
}

func (n *namedID) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&n.name, &n.id}) //nolint:wrapcheck // parse wraps it
}

// parse builds a Tokenizer from the content of tokenizer.json and the settings
// of the files beside it.
func parse(content []byte, s *settings) (t *Tokenizer, err error) {
	defer guard(&err)
	var file hftokenizer.TokenizerJSON
	var more extra
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadTokenizer, err)
	}
	if err := json.Unmarshal(content, &more); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadTokenizer, err)
	}
	if m := &file.Model; s.rebuilt && (m.Type == "BPE" || m.Type == "" && len(m.Merges) > 0) {
		file.Normalizer, file.PreTokenizer, more.PreTokenizer = nil, &hftokenizer.PreTokenizer{Type: byteLevel}, preTokenizer{}
		file.Decoder = &hftokenizer.Decoder{Type: byteLevel}
		file.Model, more.Model.IgnoreMerges = hftokenizer.Model{Type: "BPE", Vocab: m.Vocab, Merges: m.Merges}, false
	}
	t = &Tokenizer{eos: absent, pad: absent, suffix: file.Model.EndOfWordSuffix}
	if err := t.checkSupported(&file, &more); err != nil {
		return nil, err
	}
	if s.prefixSpace != nil && !t.clip {
		t.prefixSpace = *s.prefixSpace
	}
	if file.Normalizer != nil {
		if t.lib, err = hftokenizer.NewFromContent(nil, content); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadTokenizer, err)
		}
	}
	if t.model, err = newBPE(&file.Model, more.Model.IgnoreMerges); err != nil {
		return nil, err
	}
	if t.before, t.after, err = template(more.PostProcessor); err != nil {
		return nil, err
	}
	if err := t.fillText(&file, s); err != nil {
		return nil, err
	}
	for _, id := range slices.Concat(t.before, t.after) {
		if _, ok := t.text[id]; !ok {
			return nil, fmt.Errorf("%w: post_processor uses the unknown id %d", ErrBadTokenizer, id)
		}
	}
	return t, nil
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// checkSupported refuses everything that would be done differently here.
func (t *Tokenizer) checkSupported(file *hftokenizer.TokenizerJSON, more *extra) (err error) {
	m := &file.Model
	switch {
	case m.Type != "BPE" && (m.Type != "" || len(m.Merges) == 0):
		return unsupported("model %q, not \"BPE\"", m.Type)
	case m.Dropout != nil && *m.Dropout != 0:
		return unsupported("BPE dropout")
	case m.ContinuingSubwordPrefix != "":
		return unsupported("BPE with a subword prefix")
	case m.ByteFallback:
		return unsupported("byte_fallback")
	case !decodesBytes(file.Decoder):
		return unsupported("a decoder other than ByteLevel")
	}
	if t.split, t.clip, t.prefixSpace, err = readSplit(file.PreTokenizer, &more.PreTokenizer); err != nil {
		return err
	}
	if m.EndOfWordSuffix != "" && (!t.clip || more.Model.IgnoreMerges) {
		return unsupported("BPE with a word suffix but for CLIP's split")
	}
	return checkNormalizer(file.Normalizer, t.clip)
}

// decodesBytes reports whether a decoder is ByteLevel, alone or in a sequence
// with decoders that only join tokens.
func decodesBytes(d *hftokenizer.Decoder) bool {
	if d == nil || d.Type != "Sequence" {
		return d != nil && d.Type == byteLevel
	}
	n := 0
	for _, inner := range d.Decoders {
		switch {
		case decodesBytes(inner):
			n++
		case inner == nil || inner.Type != "Fuse":
			return false
		}
	}
	return n == 1
}

const byteLevel = "ByteLevel"

// CLIP's split in transformers, and that before version 5.
const (
	clipPattern    = `<\|startoftext\|>|<\|endoftext\|>|` + clipPatternOld
	clipPatternOld = `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`
)

// split says how text is split before ByteLevel's own split, and whether that
// is done.
type split struct {
	digits digits
	whole  bool // ByteLevel does not split
}

type digits uint8

const (
	noDigits  digits = iota // digits are like other characters
	eachDigit               // each is a piece
	allDigits               // consecutive digits are one piece
)

// layers are the pre-tokenizers of a file in order, with sequences flattened.
func layers(p *hftokenizer.PreTokenizer, more *preTokenizer) (out []*hftokenizer.PreTokenizer, mores []*preTokenizer) {
	if p == nil || p.Type != "Sequence" || len(p.PreTokenizers) != len(more.PreTokenizers) {
		return []*hftokenizer.PreTokenizer{p}, []*preTokenizer{more}
	}
	for i := range p.PreTokenizers {
		inner, innerMore := layers(&p.PreTokenizers[i], &more.PreTokenizers[i])
		out, mores = append(out, inner...), append(mores, innerMore...)
	}
	return out, mores
}

// readSplit distinguishes GPT-2's split, which is that of ByteLevel, from
// CLIP's and that of digits, which come before it.
func readSplit(p *hftokenizer.PreTokenizer, more *preTokenizer) (s split, clip, prefixSpace bool, err error) {
	row, mores := layers(p, more)
	refuse := unsupported("a pre_tokenizer other than ByteLevel, alone or after CLIP's split or that of digits")
	last := len(row) - 1
	if last < 0 || last > 1 || row[last] == nil || row[last].Type != byteLevel {
		return s, false, false, refuse
	}
	use := mores[last].UseRegex
	s.whole, prefixSpace = use != nil && !*use, row[last].AddPrefixSpace
	if last == 0 {
		return s, false, prefixSpace, nil
	}
	first := row[0]
	switch {
	case first == nil:
		return s, false, false, refuse
	case first.Type == "Digits":
		s.digits = allDigits
		if each := mores[0].IndividualDigits; each != nil && *each {
			s.digits = eachDigit
		}
		return s, false, prefixSpace, nil
	case first.Type != "Split" || first.Pattern == nil || first.Pattern.Regex != clipPattern && first.Pattern.Regex != clipPatternOld ||
		first.Behavior != "Removed" || !first.Invert || prefixSpace || s.whole:
		return s, false, false, refuse
	}
	return s, true, false, nil
}

func checkNormalizer(n *hftokenizer.Normalizer, clip bool) error {
	if n == nil {
		return nil
	}
	switch n.Type {
	case "NFC", "NFD", "NFKC", "NFKD":
		return nil
	case "Lowercase":
		if clip {
			return nil
		}
	case "Replace":
		// Other white space in place of white space: CLIP's split drops both.
		if clip && n.Pattern != nil && n.Pattern.Regex == `\s+` && n.Content == " " {
			return nil
		}
	case "Sequence":
		for i := range n.Normalizers {
			if err := checkNormalizer(&n.Normalizers[i], clip); err != nil {
				return err
			}
		}
		return nil
	}
	return unsupported("normalizer %q", n.Type)
}

// template returns the ids that post-processing puts around a single text.
func template(p *postProcessor) (before, after []int, err error) {
	if p == nil || p.Type == "ByteLevel" { // which only trims offsets
		return nil, nil, nil
	}
	switch p.Type {
	case "Sequence":
		for i := range p.Processors {
			b, a, err := template(&p.Processors[i])
			if err != nil {
				return nil, nil, err
			}
			before, after = append(b, before...), append(after, a...)
		}
		return before, after, nil
	case "RobertaProcessing", "BertProcessing":
		if p.Cls.name == "" || p.Sep.name == "" {
			return nil, nil, fmt.Errorf("%w: %s without cls or sep", ErrBadTokenizer, p.Type)
		}
		return []int{p.Cls.id}, []int{p.Sep.id}, nil
	case "TemplateProcessing":
		sequences := 0
		for _, item := range p.Single {
			switch {
			case item.Sequence != nil:
				sequences++
			case item.SpecialToken != nil && sequences == 0:
				before = append(before, p.SpecialTokens[item.SpecialToken.ID].IDs...)
			case item.SpecialToken != nil:
				after = append(after, p.SpecialTokens[item.SpecialToken.ID].IDs...)
			}
		}
		if sequences != 1 {
			return nil, nil, unsupported("a template with %d sequences", sequences)
		}
		return before, after, nil
	default:
		return nil, nil, unsupported("post_processor %q", p.Type)
	}
}

// fillText sets the text of each id, and the added tokens.
func (t *Tokenizer) fillText(file *hftokenizer.TokenizerJSON, s *settings) error {
	bytesOf := letterBytes()
	t.text = make(map[int][]byte, len(file.Model.Vocab)+len(file.AddedTokens))
	for token, id := range file.Model.Vocab {
		if _, taken := t.text[id]; taken {
			return fmt.Errorf("%w: id %d belongs to two tokens", ErrBadTokenizer, id)
		}
		if err := t.put(token, id, bytesOf); err != nil {
			return err
		}
	}
	var tokens []addedToken
	for _, a := range file.AddedTokens {
		if !s.replace {
			tokens = append(tokens, addedToken{
				content: a.Content, id: a.ID, special: a.Special, normalized: a.Normalized,
				alone: a.SingleWord, stripLeft: a.Lstrip, stripRight: a.Rstrip,
			})
		}
	}
	return t.addTokens(tokens, s.tokens, bytesOf)
}

// put sets the text of an id.
func (t *Tokenizer) put(token string, id int, bytesOf map[rune]byte) error {
	if id < 0 || id >= maxTokenID {
		return fmt.Errorf("%w: token %.40q has the id %d", ErrBadTokenizer, token, id)
	}
	word, ends := strings.CutSuffix(token, t.suffix)
	t.text[id] = fromLetters(word, bytesOf)
	if ends && t.suffix != "" {
		t.text[id] = append(t.text[id], ' ')
	}
	return nil
}
