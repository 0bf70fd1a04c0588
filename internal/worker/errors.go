package worker

import (
	"strings"
	"unicode/utf8"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// errorMessage is what a peer is told of err. An error without a public cause
// is the worker's own affair: its words stay here.
func errorMessage(err error) *wirepb.Error {
	m := &wirepb.Error{Code: transport.Code(err), Message: err.Error()}
	if m.Code == transport.Code(transport.ErrInternal) {
		m.Message = transport.ErrInternal.Error()
	}
	if len(m.Message) > wire.MaxErrorText {
		m.Message = m.Message[:wire.MaxErrorText]
	}
	if !utf8.ValidString(m.Message) {
		m.Message = strings.ToValidUTF8(m.Message, "?")
	}
	return m
}
