package worker

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// reset forgets the session's carried state or shortens what of it is named.
func (s *session) reset(rewind []*wirepb.StateLength) (answer, error) {
	if len(rewind) == 0 {
		s.es.Reset()
		return answer{}, nil
	}
	if len(rewind) > plan.MaxStates {
		return answer{}, fmt.Errorf("%w: %d states to shorten, at most %d", transport.ErrLimit, len(rewind), plan.MaxStates)
	}
	to := make([]transport.StateLength, len(rewind))
	for i, r := range rewind {
		if r.GetLength() > plan.MaxDimSize {
			return answer{}, fmt.Errorf("%w: state %.80q of %d positions", transport.ErrLimit, r.GetName(), r.GetLength())
		}
		to[i] = transport.StateLength{Name: r.GetName(), Length: int(r.GetLength())}
	}
	if err := s.es.Rewind(to); err != nil {
		return answer{}, err
	}
	return answer{control: &wirepb.ResetDone{Rewound: true}}, nil
}
