package worker

import "github.com/genie-sdk/go/transport/wire"

// features is what this worker offers beyond what every one does.
func (s *Server) features() wire.Features {
	f := wire.FeatureReceive
	if s.opts.Peers != nil {
		f |= wire.FeatureSend
	}
	return f
}

// peer is the key in whose name the worker sends; nil for one that does not.
func (s *Server) peer() []byte {
	if s.opts.Peers == nil {
		return nil
	}
	id := s.opts.Peers.ID()
	return id[:]
}
