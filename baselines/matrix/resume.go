package matrix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/genie-sdk/go/baselines/results"
)

// ErrOtherRun means that a file cannot be continued: it is from another commit,
// machine or scale.
var ErrOtherRun = errors.New("genie: recorded by another run")

// Resume opens a recording to continue it. done is the number of results of
// each case that it has. Resume removes an unfinished last line, left by a
// killed process. It starts a missing or empty file from the beginning: done is
// nil.
//
// Only an ordinary file can be continued, not a pipe for example.
func Resume(path string, h *Header) (file *os.File, done map[results.Key]int, err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%w: %s: it is not a regular file but of type %v", ErrOtherRun, path, info.Mode().Type())
	}
	file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // names the path
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			file = nil
		}
	}()
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	f, err := results.Read(bytes.NewReader(whole), path)
	if err != nil {
		return nil, nil, err
	}
	if len(f.Header) > 0 || len(f.Cases) > 0 {
		if d := h.differs(f); d != "" {
			return nil, nil, fmt.Errorf("%w: %s: %s", ErrOtherRun, path, d)
		}
		done = map[results.Key]int{}
		for _, c := range f.Cases {
			done[c.Key] = c.Runs
		}
	} else if len(bytes.TrimSpace(text)) > 0 {
		return nil, nil, fmt.Errorf("%w: %s: it is no recording", ErrOtherRun, path)
	}
	if err := file.Truncate(int64(len(whole))); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, done, nil
}
