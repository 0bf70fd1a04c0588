package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/genie-sdk/go/internal/pyjson"
)

const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	specialFile   = "special_tokens_map.json"
	addedFile     = "added_tokens.json"
	modelFile     = "config.json"
)

// namedTokens are the named special tokens, in the order in which transformers
// adds those that the vocabulary lacks.
var namedTokens = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// settings are those of the files beside tokenizer.json, as transformers'
// tokenizer class reads them (tokenization_utils_base.py, _from_pretrained, and
// tokenization_utils_tokenizers.py of 5.24).
type settings struct {
	// rebuilt says that the class is GPT-2's, which takes vocabulary, merges
	// and post-processor from tokenizer.json and builds the rest itself.
	rebuilt bool
	// prefixSpace is add_prefix_space, nil if the class leaves it to the file.
	prefixSpace *bool
	// replace says that the added tokens of tokenizer.json are ignored, since
	// tokenizer_config.json lists them all.
	replace bool
	// tokens are to be added, except those that exist already.
	tokens []addedToken
	named  map[string]string // by field
}

// readSettings reads the files in dir.
func readSettings(dir string) (*settings, error) {
	config, keys, err := readObject(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	s := &settings{named: map[string]string{}}
	class, err := className(dir, config)
	if err != nil {
		return nil, err
	}
	if class == "GPT2Tokenizer" || class == "RobertaTokenizer" {
		s.rebuilt = class == "GPT2Tokenizer"
		s.prefixSpace = new(bool)
		r := config.Reader()
		if r.Bool("add_prefix_space", s.prefixSpace); r.Err() != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrBadTokenizer, filepath.Join(dir, configFile), r.Err())
		}
	}
	special := map[string]json.RawMessage{}
	maps.Copy(special, config)
	listed, has := config["added_tokens_decoder"]
	if has {
		if err := s.listed(listed); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, configFile), err)
		}
		s.replace = s.rebuilt
	} else if err := s.legacy(dir, special); err != nil {
		return nil, err
	}
	s.addNamed(special, keys)
	return s, nil
}

// readObject reads a JSON file and its keys in order; a missing file has none.
func readObject(path string) (pyjson.Object, []string, error) {
	content, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return pyjson.Object{}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	o, err := pyjson.Parse(content)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrBadTokenizer, path, err)
	}
	return o, keysOf(content), nil
}

// keysOf are the keys of an object in text order; the text is valid.
func keysOf(content []byte) []string {
	content, err := pyjson.Clean(content)
	if err != nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(content))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var keys []string
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return keys
		}
		keys = append(keys, key)
		var skip json.RawMessage
		if dec.Decode(&skip) != nil {
			return keys
		}
	}
	return keys
}

// className is transformers' class for the tokenizer: the one in the file, or
// that of the model's type; "" for the class that uses all of tokenizer.json.
func className(dir string, config pyjson.Object) (string, error) {
	r, class := config.Reader(), ""
	if r.String("tokenizer_class", &class); r.Err() != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrBadTokenizer, filepath.Join(dir, configFile), r.Err())
	}
	if class != "" {
		return strings.TrimSuffix(class, "Fast"), nil
	}
	model, err := pyjson.ReadFile(filepath.Join(dir, modelFile), maxFileBytes)
	if err != nil { // code that needs it will report the fault
		return "", nil //nolint:nilerr // as it says
	}
	var modelType string
	model.Reader().String("model_type", &modelType)
	return map[string]string{"gpt2": "GPT2Tokenizer", "roberta": "RobertaTokenizer"}[modelType], nil
}

// listed takes added_tokens_decoder: tokens by id, which only determines their
// order.
func (s *settings) listed(raw json.RawMessage) error {
	var byID map[string]json.RawMessage
	if err := json.Unmarshal(raw, &byID); err != nil {
		return fmt.Errorf("%w: added_tokens_decoder: %w", ErrBadTokenizer, err)
	}
	for key, raw := range byID {
		id, err := strconv.Atoi(strings.TrimSpace(key))
		token, ok := parseToken(raw, false)
		if err != nil || !ok || bytes.HasPrefix(raw, []byte(`"`)) {
			return fmt.Errorf("%w: added_tokens_decoder has %.40q: %.60s", ErrBadTokenizer, key, raw)
		}
		token.id = id
		s.tokens = append(s.tokens, token)
	}
	slices.SortFunc(s.tokens, func(a, b addedToken) int { return cmp.Compare(a.id, b.id) })
	return nil
}

// legacy takes special_tokens_map.json into special, and added_tokens.json,
// which count if there is no added_tokens_decoder.
func (s *settings) legacy(dir string, special map[string]json.RawMessage) error {
	more, _, err := readObject(filepath.Join(dir, specialFile))
	if err != nil {
		return err
	}
	for key, value := range more {
		if key == "extra_special_tokens" {
			value = joined(special[key], value)
		}
		special[key] = value
	}
	added, _, err := readObject(filepath.Join(dir, addedFile))
	if err != nil {
		return err
	}
	var names []string
	for _, key := range append(slices.Clone(namedTokens), "extra_special_tokens") {
		for _, token := range parseTokens(special[key]) {
			names = append(names, token.content)
		}
	}
	for content, raw := range added {
		id, ok := pyjson.Integer(raw)
		if !ok {
			return fmt.Errorf("%w: %s: %.40q has the id %.40s", ErrBadTokenizer, filepath.Join(dir, addedFile), content, raw)
		}
		special := slices.Contains(names, content)
		s.tokens = append(s.tokens, addedToken{content: content, id: id, special: special, normalized: !special})
	}
	slices.SortFunc(s.tokens, func(a, b addedToken) int { return cmp.Compare(a.id, b.id) })
	return nil
}

// joined is the concatenation of two lists.
func joined(a, b json.RawMessage) json.RawMessage {
	var x, y []json.RawMessage
	if json.Unmarshal(b, &y) != nil {
		return b
	}
	_ = json.Unmarshal(a, &x) // any other value is not a list
	both, err := json.Marshal(append(x, y...))
	if err != nil {
		return b
	}
	return both
}

// addNamed takes the special tokens: the named ones, those with another name
// that ends in _token, and lists of more.
func (s *settings) addNamed(special map[string]json.RawMessage, keys []string) {
	for _, key := range namedTokens {
		raw, there := special[key]
		if !there && s.rebuilt && key != "sep_token" && key != "pad_token" && key != "cls_token" && key != "mask_token" {
			raw = json.RawMessage(`"<|endoftext|>"`)
		}
		if token, ok := parseToken(raw, true); ok {
			token.unless = true
			s.named[key] = token.content
			s.tokens = append(s.tokens, token)
		}
	}
	for _, key := range keys {
		if strings.HasSuffix(key, "_token") && !slices.Contains(namedTokens, key) && bytes.HasPrefix(special[key], []byte(`"`)) {
			s.addMore(special[key])
		}
	}
	extra := special["extra_special_tokens"]
	if list := strings.Trim(string(extra), "[]{} \t\r\n"); list == "" || list == "null" {
		extra = special["additional_special_tokens"]
	}
	s.addMore(extra)
}

func (s *settings) addMore(raw json.RawMessage) {
	for _, token := range parseTokens(raw) {
		token.unless, token.special = true, true
		s.tokens = append(s.tokens, token)
	}
}

// parseTokens reads one token, a list of them or an object of them by name.
func parseTokens(raw json.RawMessage) []addedToken {
	if token, ok := parseToken(raw, true); ok {
		return []addedToken{token}
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) != nil {
			return nil
		}
		for _, key := range keysOf(raw) {
			list = append(list, object[key])
		}
	}
	var out []addedToken
	for _, item := range list {
		if token, ok := parseToken(item, true); ok {
			out = append(out, token)
		}
	}
	return out
}

// parseToken reads a token as these files write it: a string, or an object with
// the string in "content" and options. It is false for anything else, and for
// an empty token.
func parseToken(raw json.RawMessage, special bool) (addedToken, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return addedToken{content: text, special: special}, text != ""
	}
	object := struct {
		Content    *string `json:"content"`
		SingleWord bool    `json:"single_word"`
		Lstrip     bool    `json:"lstrip"`
		Rstrip     bool    `json:"rstrip"`
		Normalized *bool   `json:"normalized"`
		Special    *bool   `json:"special"`
	}{}
	if json.Unmarshal(raw, &object) != nil || object.Content == nil {
		return addedToken{}, false
	}
	token := addedToken{
		content: *object.Content, alone: object.SingleWord, stripLeft: object.Lstrip, stripRight: object.Rstrip, special: special,
	}
	if object.Special != nil {
		token.special = token.special || *object.Special
	}
	token.normalized = !token.special
	if object.Normalized != nil {
		token.normalized = *object.Normalized
	}
	return token, true
}
