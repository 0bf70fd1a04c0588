package easyvqa_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/workloads/easyvqa"
)

const (
	modelDir = "../../testdata/models/easy-vqa"
	splitDir = "../../testdata/easy-vqa"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func load(t testing.TB, dir string) *easyvqa.Model {
	t.Helper()
	m, err := easyvqa.Load(context.Background(), dir, easyvqa.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

var split = sync.OnceValues(func() (*easyvqa.Split, error) { return easyvqa.LoadSplit(splitDir) })

// golden is what PyTorch answers to the test split.
type golden struct {
	Torch     string
	Questions int
	Correct   int
	Accuracy  float64
	Answers   string  // a letter a question, a being the first answer
	MinMargin float64 `json:"min_margin"`
	MaxLogit  float64 `json:"max_abs_logit"`
	Logits    [][]float32
}

func readGolden(t *testing.T) golden {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(modelDir, "golden.json"))
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(text, &g))
	require.Len(t, g.Answers, g.Questions)
	return g
}
