package onnxfile

import (
	"path/filepath"
	"strconv"
)

// parseExternal reads the entries of external_data.
func parseExternal(tensor string, entries [][2]string) (*external, error) {
	e := &external{length: -1}
	for _, kv := range entries {
		var err error
		switch kv[0] {
		case "location":
			e.location = kv[1]
		case "offset":
			e.offset, err = strconv.ParseInt(kv[1], 10, 64)
		case "length":
			e.length, err = strconv.ParseInt(kv[1], 10, 64)
			if e.length < 0 {
				err = strconv.ErrRange
			}
		}
		if err != nil {
			return nil, malformed("tensor %q: %s of external data is %.80q", tensor, kv[0], kv[1])
		}
	}
	if e.location == "" || e.offset < 0 {
		return nil, malformed("tensor %q: external data at offset %d of %.80q", tensor, e.offset, e.location)
	}
	return e, nil
}

// inside is the path of external data below the model's folder. Names use slashes
// on every system.
func (e *external) inside(tensor string) (string, error) {
	p := filepath.FromSlash(e.location)
	if !filepath.IsLocal(p) {
		return "", malformed("tensor %q: external data in %.200q, which is not inside the model's folder", tensor, e.location)
	}
	return filepath.Clean(p), nil
}
