package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gomlx/go-huggingface/tokenizers/hftokenizer"
)

// extra has the fields of tokenizer.json that the library's types lack.
type extra struct {
	PreTokenizer struct {
		UseRegex *bool `json:"use_regex"`
	} `json:"pre_tokenizer"`
	PostProcessor *postProcessor `json:"post_processor"`
	Model         struct {
		IgnoreMerges bool `json:"ignore_merges"`
	} `json:"model"`
}

type postProcessor struct {
	Type          string                                      `json:"type"`
	Single        []hftokenizer.PostProcItem                  `json:"single"`
	SpecialTokens map[string]hftokenizer.PostProcSpecialToken `json:"special_tokens"`
	Processors    []postProcessor                             `json:"processors"`
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
	t = &Tokenizer{eos: -1, prefixSpace: file.PreTokenizer.AddPrefixSpace, normalizes: file.Normalizer != nil}
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
	case m.ContinuingSubwordPrefix != "" || m.EndOfWordSuffix != "":
		return unsupported("BPE with a subword prefix or a word suffix")
	case m.ByteFallback:
		return unsupported("byte_fallback")
	case file.PreTokenizer == nil || file.PreTokenizer.Type != "ByteLevel":
		return unsupported("a pre_tokenizer other than ByteLevel")
	case more.PreTokenizer.UseRegex != nil && !*more.PreTokenizer.UseRegex:
		return unsupported("ByteLevel without its own split")
	case file.Decoder == nil || file.Decoder.Type != "ByteLevel":
		return unsupported("a decoder other than ByteLevel")
	}
	return checkNormalizer(file.Normalizer)
}

func checkNormalizer(n *hftokenizer.Normalizer) error {
	if n == nil {
		return nil
	}
	switch n.Type {
	case "NFC", "NFD", "NFKC", "NFKD":
		return nil
	case "Sequence":
		for i := range n.Normalizers {
			if err := checkNormalizer(&n.Normalizers[i]); err != nil {
				return err
			}
		}
		return nil
	default:
		return unsupported("normalizer %q", n.Type)
	}
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
		t.text[id] = fromLetters(token, bytesOf)
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
			t.added = append(t.added, addedToken{
				content: a.Content, id: a.ID, special: a.Special,
				alone: a.SingleWord, stripLeft: a.Lstrip, stripRight: a.Rstrip,
			})
		}
	}
	// The longest match at a place wins.
	slices.SortStableFunc(t.added, func(a, b addedToken) int { return cmp.Compare(len(b.content), len(a.content)) })
	return nil
}
