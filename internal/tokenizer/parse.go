package tokenizer

import (
	"cmp"
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
	UseRegex      *bool          `json:"use_regex"`
	PreTokenizers []preTokenizer `json:"pretokenizers"`
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
type namedID struct{ id int }

func (n *namedID) UnmarshalJSON(text []byte) error {
	var name string
	return json.Unmarshal(text, &[]any{&name, &n.id}) //nolint:wrapcheck // parse wraps it
}

// parse builds a Tokenizer from the content of tokenizer.json.
func parse(content []byte) (t *Tokenizer, err error) {
	defer guard(&err)
	var file hftokenizer.TokenizerJSON
	var more extra
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadTokenizer, err)
	}
	if err := json.Unmarshal(content, &more); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadTokenizer, err)
	}
	if err := checkSupported(&file, &more); err != nil {
		return nil, err
	}
	t = &Tokenizer{
		eos: absent, pad: absent, clip: file.PreTokenizer.Type != byteLevel,
		prefixSpace: file.PreTokenizer.AddPrefixSpace, normalizes: file.Normalizer != nil,
	}
	if t.lib, err = hftokenizer.NewFromContent(nil, content); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadTokenizer, err)
	}
	if t.model, err = newBPE(&file.Model, more.Model.IgnoreMerges); err != nil {
		return nil, err
	}
	if t.before, t.after, err = template(more.PostProcessor); err != nil {
		return nil, err
	}
	if err := t.fillText(&file); err != nil {
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

// checkSupported refuses whatever would be done differently here.
func checkSupported(file *hftokenizer.TokenizerJSON, more *extra) error {
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
	case file.Decoder == nil || file.Decoder.Type != byteLevel:
		return unsupported("a decoder other than ByteLevel")
	}
	clip, err := checkSplit(file.PreTokenizer, &more.PreTokenizer)
	if err != nil {
		return err
	}
	if m.EndOfWordSuffix != "" && (!clip || more.Model.IgnoreMerges) {
		return unsupported("BPE with a word suffix but for CLIP's split")
	}
	return checkNormalizer(file.Normalizer, clip)
}

const byteLevel = "ByteLevel"

// CLIP's split, as transformers writes it, and before version 5.
const (
	clipPattern    = `<\|startoftext\|>|<\|endoftext\|>|` + clipPatternOld
	clipPatternOld = `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`
)

// checkSplit tells GPT-2's split, which is that of ByteLevel, from CLIP's,
// which comes before it.
func checkSplit(p *hftokenizer.PreTokenizer, more *preTokenizer) (clip bool, err error) {
	if p != nil && p.Type == "Sequence" && len(p.PreTokenizers) == 2 && len(more.PreTokenizers) == 2 {
		s := &p.PreTokenizers[0]
		if s.Type != "Split" || s.Pattern == nil || s.Pattern.Regex != clipPattern && s.Pattern.Regex != clipPatternOld ||
			s.Behavior != "Removed" || !s.Invert || p.PreTokenizers[1].AddPrefixSpace {
			return false, unsupported("a pre_tokenizer other than ByteLevel, alone or after CLIP's split")
		}
		clip, p, more = true, &p.PreTokenizers[1], &more.PreTokenizers[1]
	}
	switch {
	case p == nil || p.Type != byteLevel:
		return false, unsupported("a pre_tokenizer other than ByteLevel, alone or after CLIP's split")
	case more.UseRegex != nil && !*more.UseRegex:
		return false, unsupported("ByteLevel without its own split")
	}
	return clip, nil
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
		// Other white space for white space: CLIP's split drops either.
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
	case "RobertaProcessing":
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

// fillText fills in what each id decodes to, and the added tokens.
func (t *Tokenizer) fillText(file *hftokenizer.TokenizerJSON) error {
	bytesOf := letterBytes()
	t.text = make(map[int][]byte, len(file.Model.Vocab)+len(file.AddedTokens))
	put := func(token string, id int) error {
		if id < 0 || id >= maxTokenID {
			return fmt.Errorf("%w: token %.40q has the id %d", ErrBadTokenizer, token, id)
		}
		word, ends := strings.CutSuffix(token, file.Model.EndOfWordSuffix)
		t.text[id] = fromLetters(word, bytesOf)
		if ends && file.Model.EndOfWordSuffix != "" {
			t.text[id] = append(t.text[id], ' ')
		}
		return nil
	}
	for token, id := range file.Model.Vocab {
		if _, taken := t.text[id]; taken {
			return fmt.Errorf("%w: id %d belongs to two tokens", ErrBadTokenizer, id)
		}
		if err := put(token, id); err != nil {
			return err
		}
	}
	for _, a := range file.AddedTokens {
		if err := put(a.Content, a.ID); err != nil {
			return err
		}
		if a.Content != "" {
			added := addedToken{
				content: a.Content, id: a.ID, special: a.Special,
				alone: a.SingleWord, stripLeft: a.Lstrip, stripRight: a.Rstrip,
			}
			if t.clip && a.Normalized {
				added.content = t.normalize(added.content)
				t.addedAfter = append(t.addedAfter, added)
			} else {
				t.added = append(t.added, added)
			}
		}
	}
	// The longest match at a place wins.
	longest := func(a, b addedToken) int { return cmp.Compare(len(b.content), len(a.content)) }
	slices.SortStableFunc(t.added, longest)
	slices.SortStableFunc(t.addedAfter, longest)
	return nil
}
