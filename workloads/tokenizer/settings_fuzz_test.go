package tokenizer

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzSettings: for any files beside tokenizer.json, a text becomes ids that
// decode, or the files are refused.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"added_tokens_decoder":{"3":{"content":"q"}},"eos_token":"z"}`), []byte(`{}`), []byte(`{}`))
	f.Add([]byte(`{"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true,"extra_special_tokens":{"x":"y"}}`), []byte(`{"eos_token":{"content":"a","lstrip":true}}`), []byte(`{"q":7}`))
	f.Add([]byte(`{"additional_special_tokens":["ab",{"content":"b","normalized":true}],"z_token":"zz"}`), []byte(`null`), []byte(`{"a":1e999}`))
	const file = `{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`
	f.Fuzz(func(t *testing.T, config, special, added []byte) {
		dir := t.TempDir()
		for name, text := range map[string][]byte{tokenizerFile: []byte(file), configFile: config, specialFile: special, addedFile: added} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		tok, err := Load(dir)
		if err != nil {
			if !errors.Is(err, ErrBadTokenizer) && !errors.Is(err, ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		ids, err := tok.Encode("aba q zz</s>")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.Decode(ids); err != nil {
			t.Fatal(err)
		}
	})
}
