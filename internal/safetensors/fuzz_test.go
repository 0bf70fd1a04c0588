package safetensors

import (
	"bytes"
	"testing"
)

// FuzzReader feeds file images to the parser. Whatever it accepts has to keep
// the format's promises: views inside the data, sizes that match the shapes,
// every byte in exactly one tensor.
func FuzzReader(f *testing.F) {
	for _, c := range badFiles {
		f.Add(c.data)
	}
	f.Add(image("{}", 0))
	f.Add(oneTensor(`"F32"`, "[]", "[0,4]", 4))
	f.Add(image(`{"__metadata__":{"format":"pt"},"b":`+u8b+`,"a":`+u8at+`}   `, 4))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, bad := parseImage(data)
		if bad != nil {
			if bad.Err == nil || bad.Reason == "" {
				t.Fatalf("error without a cause: %+v", bad)
			}
			return
		}
		if !bytes.HasPrefix(data[lengthBytes:], h.raw) || h.size != int64(len(data)-lengthBytes-len(h.raw)) {
			t.Fatal("header is not the file's")
		}
		covered := int64(0)
		for _, s := range h.spans {
			want, err := byteSize(s.dtype, s.shape)
			if err != nil || s.begin != covered || want != unknownSize && s.end-s.begin != want || s.end > h.size {
				t.Fatalf("accepted %+v after %d bytes of %d: %v", s, covered, h.size, err)
			}
			covered = s.end
		}
		if covered != h.size {
			t.Fatalf("%d of %d bytes covered", covered, h.size)
		}
	})
}

// parseImage parses the image of a file as OpenFile does a file.
func parseImage(data []byte) (*header, *Error) {
	head, bad := readHeader(bytes.NewReader(data), int64(len(data)))
	if bad != nil {
		return nil, bad
	}
	return parse(head, int64(len(data)-lengthBytes-len(head)))
}
