package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// answer is a line of the answers file.
type answer struct {
	File     string `json:"file"`
	Question string `json:"question"`
	Answer   string `json:"answer"`
}

// key identifies the subject of an answer.
type key struct{ file, question string }

// answers is the answers file. It contains only complete lines: opening it cuts
// off a line that a killed run left incomplete.
type answers struct {
	file *os.File
	have map[key]bool
}

func openAnswers(path string) (*answers, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	a := &answers{file: f, have: map[key]bool{}}
	if err := a.load(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return a, nil
}

func (a *answers) load(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	n := 0
	for line := range bytes.Lines(text[:whole]) {
		n++
		var l answer
		if err := json.Unmarshal(line, &l); err != nil || l.File == "" {
			return fmt.Errorf("%s:%d: not a line of answers: %w", path, n, errors.Join(err, errors.New("want file, question and answer")))
		}
		a.have[key{l.File, l.Question}] = true
	}
	if whole == 0 && len(text) > 0 && text[0] != '{' {
		return fmt.Errorf("%s: not a file of answers", path) // not our file: leave it unchanged
	}
	return a.file.Truncate(int64(whole))
}

// missing lists the files without an answer to the question.
func (a *answers) missing(files []string, question string) []string {
	var todo []string
	for _, f := range files {
		if !a.have[key{f, question}] {
			todo = append(todo, f)
		}
	}
	return todo
}

// add writes lines and waits until they are on disk.
func (a *answers) add(lines []answer) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	if _, err := a.file.Write(text.Bytes()); err != nil {
		return err
	}
	return a.file.Sync()
}

// Close closes the file.
func (a *answers) Close() error { return a.file.Close() }
