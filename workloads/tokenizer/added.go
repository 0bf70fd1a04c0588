package tokenizer

import (
	"cmp"
	"slices"
)

// addTokens adds the tokens of tokenizer.json, which have ids, and then those
// of the files beside it. As in the reference, an existing token gets the new
// options, one of the vocabulary keeps its id, and a new one gets the next id,
// whatever its file says (tokenizers, added_vocabulary.rs, add_tokens).
func (t *Tokenizer) addTokens(own, more []addedToken, bytesOf map[rune]byte) error {
	all := make([]addedToken, 0, len(own)+len(more))
	at := map[string]int{} // into all
	keep := func(a addedToken) error {
		if err := t.put(a.content, a.id, bytesOf); err != nil || a.content == "" {
			return err
		}
		if i, ok := at[a.content]; ok {
			all[i] = a
			return nil
		}
		at[a.content] = len(all)
		all = append(all, a)
		return nil
	}
	highest := absent
	for _, a := range own {
		highest = max(highest, a.id)
		if err := keep(a); err != nil {
			return err
		}
	}
	for _, a := range more {
		if a.content == "" {
			continue
		}
		i, there := at[a.content]
		inVocabulary, known := t.model.vocab[a.content]
		switch {
		case there && a.unless:
			continue
		case there:
			a.id = all[i].id
		case known:
			a.id = inVocabulary
		default:
			a.id = len(t.model.vocab)
			if highest >= a.id {
				a.id = highest + 1
			}
		}
		highest = max(highest, a.id)
		if err := keep(a); err != nil {
			return err
		}
	}
	for _, a := range all {
		if t.clip && a.normalized {
			a.content = t.normalize(a.content)
			t.addedAfter = append(t.addedAfter, a)
		} else {
			t.added = append(t.added, a)
		}
	}
	// The longest match at a place wins.
	longest := func(a, b addedToken) int { return cmp.Compare(len(b.content), len(a.content)) }
	slices.SortStableFunc(t.added, longest)
	slices.SortStableFunc(t.addedAfter, longest)
	return nil
}

// find is the id of a token by its content, or absent.
func (t *Tokenizer) find(content string) int {
	if content == "" {
		return absent
	}
	for _, a := range slices.Concat(t.added, t.addedAfter) {
		if a.content == content {
			return a.id
		}
	}
	if id, ok := t.model.vocab[content]; ok {
		return id
	}
	return absent
}
