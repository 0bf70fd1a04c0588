package imaging_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/imaging"
)

const pictures = "../../testdata/images"

// goldens are what testdata/scripts/make_image_goldens.py wrote.
type goldens struct {
	Images  map[string]string
	Configs map[string]json.RawMessage
	Cases   []struct {
		Image, Config string
		Shape         []int
		U8            string `json:"u8_sha256"`
		F32           string `json:"f32_sha256"`
	}
}

func readGoldens(t *testing.T) *goldens {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pictures, "golden.json"))
	require.NoError(t, err)
	g := &goldens{}
	require.NoError(t, json.Unmarshal(text, g))
	require.NotEmpty(t, g.Cases)
	return g
}

func digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// process runs a config on an image: the pixels before rescaling, and the
// float32 values after normalisation.
func (g *goldens) process(t *testing.T, picture, config string) (shape []int, u8, f32 []byte) {
	t.Helper()
	c, err := imaging.ParseConfig(g.Configs[config], "")
	require.NoError(t, err)
	m, err := imaging.Open(filepath.Join(pictures, picture), imaging.Limits{})
	require.NoError(t, err)
	out, err := (&imaging.Processor{Config: c}).Process(m)
	require.NoError(t, err)
	require.Equal(t, 1, out.Batch)
	require.Len(t, out.Data, 3*out.Height*out.Width)
	for _, v := range out.Data {
		f32 = binary.LittleEndian.AppendUint32(f32, math.Float32bits(v))
	}
	c.DoRescale, c.DoNormalize = false, false
	raw, err := (&imaging.Processor{Config: c}).Process(m)
	require.NoError(t, err)
	for _, v := range raw.Data {
		u8 = append(u8, uint8(v))
		if v != float32(u8[len(u8)-1]) {
			t.Fatalf("%s %s: %g is no byte", picture, config, v)
		}
	}
	return []int{3, out.Height, out.Width}, u8, f32
}

// TestGoldens: the same bits as the processors of transformers, before
// rescaling and after normalisation.
func TestGoldens(t *testing.T) {
	g := readGoldens(t)
	for name, sha := range g.Images {
		content, err := os.ReadFile(filepath.Join(pictures, name))
		require.NoError(t, err)
		require.Equal(t, sha, digest(content), "%s is not the picture of the goldens", name)
	}
	for _, c := range g.Cases {
		shape, u8, f32 := g.process(t, c.Image, c.Config)
		require.Equal(t, c.Shape, shape, "%s %s", c.Image, c.Config)
		require.Equal(t, c.U8, digest(u8), "%s %s", c.Image, c.Config)
		require.Equal(t, c.F32, digest(f32), "%s %s", c.Image, c.Config)
	}
}
