package imaging

import "errors"

var (
	// ErrFormat marks a file that is no picture of a kind that is read: JPEG,
	// PNG, GIF, WebP, BMP.
	ErrFormat = errors.New("genie: not a JPEG, PNG, GIF, WebP or BMP image")
	// ErrCorrupt marks a picture that is broken or uses something of its format
	// that is not read.
	ErrCorrupt = errors.New("genie: unreadable image")
	// ErrTooLarge marks a picture, or what a processor would make of it, that
	// is above [Limits].
	ErrTooLarge = errors.New("genie: image too large")
	// ErrConfig marks a preprocessor_config.json that is broken or asks for
	// something this package does not do exactly as the reference does.
	ErrConfig = errors.New("genie: unusable image processor config")
	// ErrNoConfig marks a directory without preprocessor_config.json.
	ErrNoConfig = errors.New("genie: no preprocessor_config.json")
	// ErrShape marks pictures that do not become tensors of one shape.
	ErrShape = errors.New("genie: images become different shapes")
)
