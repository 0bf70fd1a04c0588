package imaging_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/imaging"
)

// TestRarePictures: the bits of transformers' load_image, by Pillow 13.0.0 with
// libjpeg-turbo 3.2.0, for images of rare variants (make_picture_goldens.py),
// or a specific refusal.
func TestRarePictures(t *testing.T) {
	const folder = "../../testdata/images/rare"
	text, err := os.ReadFile(filepath.Join(folder, "golden.json"))
	require.NoError(t, err)
	var goldens struct {
		Pictures map[string]struct {
			Size            []int
			SHA256, Refused string
		}
	}
	require.NoError(t, json.Unmarshal(text, &goldens))
	require.GreaterOrEqual(t, len(goldens.Pictures), 80)
	for name, want := range goldens.Pictures {
		t.Run(name, func(t *testing.T) {
			m, err := imaging.Open(filepath.Join(folder, name), imaging.Limits{})
			if want.Refused != "" {
				require.ErrorIs(t, err, imaging.ErrCorrupt)
				require.ErrorContains(t, err, want.Refused)
				return
			}
			require.NoError(t, err)
			require.Equal(t, want.Size, []int{m.Width, m.Height})
			require.Equal(t, want.SHA256, digest(m.Pix))
		})
	}
}

// TestUnreadCodings: each unsupported coding of JPEG is refused by its name,
// before anything of the image's size is allocated.
func TestUnreadCodings(t *testing.T) {
	content, err := os.ReadFile("../../testdata/images/444.jpg")
	require.NoError(t, err)
	frame := bytes.Index(content, []byte{0xff, 0xc0})
	require.Positive(t, frame)
	for _, c := range []struct {
		at    int
		value byte
		words string
	}{
		{1, 0xc3, "lossless coding is not read"},
		{1, 0xc5, "hierarchical coding is not read"},
		{1, 0xc7, "hierarchical coding is not read"},
		{1, 0xc8, "an extended file (JPG) is not read"},
		{1, 0xc9, "arithmetic coding is not read"},
		{1, 0xca, "arithmetic coding is not read"},
		{1, 0xcb, "lossless arithmetic coding is not read"},
		{1, 0xcd, "hierarchical coding is not read"},
		{1, 0xde, "hierarchical coding is not read"},
		{4, 12, "a precision of 12 bits is not read"},
		{6, 0, "a height that comes after the image (DNL) is not read"},
		{11, 0x31, "sampled by a fraction, is not read"},
	} {
		b := bytes.Clone(content)
		b[frame+c.at] = c.value
		if c.at == 11 {
			b[frame+14] = 0x21
		}
		_, err := imaging.Decode(bytes.NewReader(b), imaging.Limits{})
		require.ErrorIs(t, err, imaging.ErrCorrupt, c.words)
		require.ErrorContains(t, err, c.words)
	}
}
