package imaging_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/imaging"
	"github.com/genie-sdk/go/internal/safetensors"
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

// process runs a config on a picture: the pixels before rescaling, and the
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
		require.Equal(t, v, float32(u8[len(u8)-1]))
	}
	return []int{3, out.Height, out.Width}, u8, f32
}

// TestGoldens: the same bits as the processors of transformers, but for JPEG.
func TestGoldens(t *testing.T) {
	g := readGoldens(t)
	for name, sha := range g.Images {
		content, err := os.ReadFile(filepath.Join(pictures, name))
		require.NoError(t, err)
		require.Equal(t, sha, digest(content), "%s is not the picture of the goldens", name)
	}
	tensors, err := safetensors.Open(filepath.Join(pictures, "golden.safetensors"))
	require.NoError(t, err)
	defer tensors.Close()
	var jpeg difference
	for _, c := range g.Cases {
		shape, u8, f32 := g.process(t, c.Image, c.Config)
		require.Equal(t, c.Shape, shape, "%s %s", c.Image, c.Config)
		if !strings.HasSuffix(c.Image, ".jpg") {
			require.Equal(t, c.U8, digest(u8), "%s %s", c.Image, c.Config)
			require.Equal(t, c.F32, digest(f32), "%s %s", c.Image, c.Config)
			continue
		}
		if want, ok := tensors.Tensor(c.Image + "/" + c.Config + "/u8"); ok {
			jpeg.add(t, c.Image+" "+c.Config, u8, want.Data)
		}
	}
	t.Logf("JPEG: %d of %d values differ, %d by more than 1, %d at most", jpeg.off, jpeg.values, jpeg.more, jpeg.most)
}

// difference is how far bytes are from what they should be.
type difference struct{ values, off, more, most int }

func (d *difference) add(t *testing.T, name string, got, want []byte) {
	t.Helper()
	require.Len(t, got, len(want), name)
	n := 0
	for i := range want {
		diff := max(int(got[i]), int(want[i])) - min(int(got[i]), int(want[i]))
		d.values++
		if diff > 0 {
			n++
		}
		if diff > 1 {
			d.more++
		}
		d.most = max(d.most, diff)
		require.LessOrEqual(t, diff, 3, name)
	}
	d.off += n
	require.LessOrEqual(t, n, len(want)*7/100, "%s: values that differ", name)
}
