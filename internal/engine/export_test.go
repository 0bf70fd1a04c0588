package engine

// NewReference makes an engine that runs every step of a plan by itself, with
// its reference where plain is true and with the kernels otherwise.
func NewReference(opts Options, plain bool) (*Engine, error) {
	opts.separate, opts.plain = true, plain
	return New(opts)
}
