package systems

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrUnavailable is the cause of errors about a missing interpreter, or one
	// that lacks a requested package or feature.
	ErrUnavailable = errors.New("genie: reference system unavailable")
	// ErrProtocol is the cause of errors about frames that violate the
	// protocol.
	ErrProtocol = errors.New("genie: reference system protocol")
	// ErrEnded is the cause of errors about a reference system whose process has ended.
	ErrEnded = errors.New("genie: reference system ended")
	// ErrProgram is the cause of errors that a reference system's program raised.
	ErrProgram = errors.New("genie: reference system program")
)

// ProgramError is an exception of a reference system's program.
type ProgramError struct {
	Program     string   `json:"-"`
	Op          string   `json:"-"` // "" while starting
	Type        string   `json:"type"`
	Message     string   `json:"message"`
	Traceback   []string `json:"traceback"` // last lines
	Unavailable bool     `json:"unavailable"`
}

// Error describes what was raised, and where.
func (e *ProgramError) Error() string {
	s := fmt.Sprintf("%v: %s", ErrProgram, e.Program)
	if e.Op != "" {
		s += ": " + e.Op
	}
	s += fmt.Sprintf(": %s: %s", e.Type, e.Message)
	if len(e.Traceback) > 0 {
		s += "\n\t" + strings.Join(e.Traceback, "\n\t")
	}
	return s
}

// Unwrap is ErrProgram, and ErrUnavailable if something was missing.
func (e *ProgramError) Unwrap() []error {
	if e.Unavailable {
		return []error{ErrProgram, ErrUnavailable}
	}
	return []error{ErrProgram}
}

// unavailable explains what to do.
func unavailable(cause error) error {
	return fmt.Errorf("%w: run 'genie bench setup', or set %s=/path/to/python, an interpreter with the packages of baselines/systems/python/requirements.txt: %w",
		ErrUnavailable, EnvPython, cause)
}
