package checkpoint

import "testing"

// FuzzSidecar feeds text to the reader of stored hashes.
func FuzzSidecar(f *testing.F) {
	f.Add([]byte(`{"version":1,"algorithm":"blake3-256","files":{"model.safetensors":{"bytes":1,"mtime_ns":2,"header_blake3":"00","tensors":{"w":"00"}}}}`))
	f.Add([]byte(`{"version":1,"algorithm":"blake3-256","files":null}`))
	f.Add([]byte(`{"version":1e9}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSidecar(data)
		if err != nil {
			return
		}
		for _, file := range s.Files {
			for _, text := range file.Tensors {
				if _, ok := parseDigest(text); ok && len(text) != 64 {
					t.Fatalf("took %q for a hash", text)
				}
			}
		}
	})
}
