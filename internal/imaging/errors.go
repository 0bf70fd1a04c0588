package imaging

import "errors"

var (
	// ErrFormat marks a file that is not an image in a supported format: JPEG,
	// PNG, GIF, WebP, BMP.
	ErrFormat = errors.New("genie: not a JPEG, PNG, GIF, WebP or BMP image")
	// ErrCorrupt marks an image that is broken or uses an unsupported feature
	// of its format.
	ErrCorrupt = errors.New("genie: unreadable image")
	// ErrTooLarge marks an image, or a result of its processing, that exceeds
	// [Limits].
	ErrTooLarge = errors.New("genie: image too large")
	// ErrConfig marks a preprocessor_config.json that is broken or has a
	// setting that this package does not implement exactly as the reference
	// does.
	ErrConfig = errors.New("genie: unusable image processor config")
	// ErrNoConfig marks a directory without preprocessor_config.json.
	ErrNoConfig = errors.New("genie: no preprocessor_config.json")
	// ErrShape marks images that do not become tensors of one shape.
	ErrShape = errors.New("genie: images become different shapes")
)
