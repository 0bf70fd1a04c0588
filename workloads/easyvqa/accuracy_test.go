package easyvqa_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/measure"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/easyvqa"
)

// tolerance is how far logits may be from PyTorch's, in parts of the greatest.
const tolerance = 1e-5

// feeds cuts a split into runs over n images and all questions about them.
func feeds(t testing.TB, m *easyvqa.Model, s *easyvqa.Split, n int) []genie.Feed {
	t.Helper()
	var out []genie.Feed
	next := 0
	for from := 0; from < len(s.Images); from += n {
		to := min(from+n, len(s.Images))
		pixels, err := m.Config.Pixels(s.Images[from:to]...)
		require.NoError(t, err)
		var about []easyvqa.Question
		for ; next < len(s.Questions) && s.Questions[next].Image < to; next++ {
			q := s.Questions[next]
			about = append(about, easyvqa.Question{Image: q.Image - from, Text: q.Text})
		}
		feed, err := m.Feed(pixels, about)
		require.NoError(t, err)
		out = append(out, feed)
	}
	require.Equal(t, len(s.Questions), next, "questions are ordered by image")
	return out
}

// first is the first n images of a split and the questions about them.
func first(s *easyvqa.Split, n int) *easyvqa.Split {
	q, _ := slices.BinarySearchFunc(s.Questions, n, func(q easyvqa.Question, n int) int { return q.Image - n })
	return &easyvqa.Split{Images: s.Images[:n], Questions: s.Questions[:q], Answers: s.Answers[:q]}
}

// evaluate answers everything: the class and the logits of each question.
func evaluate(t testing.TB, s *genie.Session, m *easyvqa.Model, all ...genie.Feed) (classes []int32, logits []float32) {
	t.Helper()
	ctx := context.Background()
	for _, feed := range all {
		out, err := s.Run(ctx, feed, m.Best, m.Logits)
		require.NoError(t, err)
		c, err := out[0].Int32s(ctx)
		require.NoError(t, err)
		l, err := out[1].Float32s(ctx)
		require.NoError(t, err)
		classes, logits = append(classes, c...), append(logits, l...)
	}
	return classes, logits
}

func session(t testing.TB, url string, p semantic.Policy) *genie.Session {
	t.Helper()
	c, err := genie.Open(context.Background(), url, genie.WithPolicy(p))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	s, err := c.NewSession(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// letters are classes as the golden writes them.
func letters(classes []int32) string {
	out := make([]byte, len(classes))
	for i, c := range classes {
		out[i] = 'a' + byte(c)
	}
	return string(out)
}

// TestWholeSplit answers every question of the data set's test split on a worker
// and in this process: each answer is PyTorch's, the accuracy is that of
// testdata/models/easy-vqa/README.md, and the logits have the same bits. The
// other transport and policy do so for the first quarter, or for the whole with
// GENIE_EASYVQA=full.
func TestWholeSplit(t *testing.T) {
	m, want := load(t, modelDir), readGolden(t)
	s, err := split()
	require.NoError(t, err)
	require.Len(t, s.Images, 1000)
	require.Len(t, s.Questions, 9673)
	require.Len(t, s.Questions, want.Questions)
	all := feeds(t, m, s, 125)
	w := workertest.Start(t, nil)
	everything := os.Getenv("GENIE_EASYVQA") == "full"
	var bits []float32
	for _, run := range []struct {
		name, url string
		policy    semantic.Policy
		remote    bool
		whole     bool
	}{
		{"local full", "local:", semantic.Full(), false, true},
		{"tcp full", "tcp://" + w.TCP, semantic.Full(), true, true},
		{"grpc full", "grpc://" + w.GRPC, semantic.Full(), true, everything},
		{"tcp blind", "tcp://" + w.TCP, semantic.Blind(), true, everything},
		{"grpc blind", "grpc://" + w.GRPC, semantic.Blind(), true, everything},
		{"local blind", "local:", semantic.Blind(), false, everything},
	} {
		t.Run(run.name, func(t *testing.T) {
			before := w.Engine.Stats().Ops
			policy := &measure.Policy{Policy: run.policy}
			session := session(t, run.url, policy)
			runs := all
			if !run.whole {
				runs = all[:len(all)/4]
			}
			classes, logits := evaluate(t, session, m, runs...)
			require.Equal(t, want.Answers[:len(classes)], letters(classes), "PyTorch's answers")
			if run.whole {
				require.Len(t, classes, want.Questions)
				checkAccuracy(t, m, s, classes, want)
			}

			n := len(m.Config.Answers)
			for i, row := range want.Logits {
				require.InDeltaSlice(t, row, logits[i*n:(i+1)*n], tolerance*want.MaxLogit, "logits of question %d", i)
			}
			if bits == nil {
				bits = logits
			}
			require.True(t, slices.Equal(bits[:len(logits)], logits), "the bits of the first run")

			require.Equal(t, run.remote, w.Engine.Stats().Ops > before, "operators on the worker")
			side, err := policy.SideOps(t.Context())
			require.NoError(t, err)
			require.Zero(t, side, "operators beside the executor")
		})
	}
}

// checkAccuracy counts the right answers among those to the whole split.
func checkAccuracy(t *testing.T, m *easyvqa.Model, s *easyvqa.Split, classes []int32, want golden) {
	t.Helper()
	correct := 0
	for i, a := range s.Answers {
		if m.Config.Answers[classes[i]] == a {
			correct++
		}
	}
	require.Equal(t, want.Correct, correct)
	accuracy := float64(correct) / float64(len(s.Answers))
	require.InDelta(t, want.Accuracy, accuracy, 1e-6)
	require.GreaterOrEqual(t, accuracy, 0.95)
	t.Logf("%d of %d questions, %.2f%%", correct, len(s.Answers), 100*accuracy)
}

// TestAlone verifies that a question has the same logits alone as in company.
func TestAlone(t *testing.T) {
	m := load(t, modelDir)
	s, err := split()
	require.NoError(t, err)
	s = first(s, 5)
	pixels, err := m.Config.Pixels(s.Images...)
	require.NoError(t, err)
	session := session(t, "local:", semantic.Full())
	_, together := evaluate(t, session, m, feeds(t, m, s, 5)...)
	one := len(pixels) / 5
	var alone []float32
	for _, q := range s.Questions {
		feed, err := m.Feed(pixels[q.Image*one:][:one], []easyvqa.Question{{Text: q.Text}})
		require.NoError(t, err)
		_, l := evaluate(t, session, m, feed)
		alone = append(alone, l...)
	}
	require.Equal(t, together, alone)
}

// TestOneWeight verifies that the comparison with PyTorch's logits notices a
// change of one weight of any layer.
func TestOneWeight(t *testing.T) {
	want := readGolden(t)
	s, err := split()
	require.NoError(t, err)
	for _, tensor := range []string{
		"conv.0.weight", "norm.1.running_mean", "conv.3.weight", "image.weight",
		"words.weight", "text.0.bias", "text.1.weight", "hidden.weight", "answer.bias",
	} {
		t.Run(tensor, func(t *testing.T) {
			m := load(t, changed(t, tensor))
			session := session(t, "local:", semantic.Full())
			_, logits := evaluate(t, session, m, feeds(t, m, first(s, 10), 10)...)
			worst := 0.0
			for i, v := range slices.Concat(want.Logits...) {
				worst = max(worst, math.Abs(float64(v-logits[i])))
			}
			require.Greater(t, worst, 10*tolerance*want.MaxLogit)
		})
	}
}

// changed is a copy of the checkpoint in which one element, in the middle of a
// tensor, is greater by 1.
func changed(t *testing.T, tensor string) string {
	t.Helper()
	dir := t.TempDir()
	config, err := os.ReadFile(filepath.Join(modelDir, "config.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600))
	path := filepath.Join(modelDir, "model.safetensors")
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	at, ok := f.Tensor(tensor)
	require.True(t, ok)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	element := file[bytes.Index(file, at.Data)+len(at.Data)/8*4:]
	v := math.Float32frombits(binary.LittleEndian.Uint32(element))
	binary.LittleEndian.PutUint32(element, math.Float32bits(v+1))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.safetensors"), file, 0o600))
	return dir
}
