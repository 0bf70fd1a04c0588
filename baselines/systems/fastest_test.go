package systems

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFastest(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one thread is all")
	}
	o := ModelOptions{Options: useFake(t, "echo"), Workload: "vision-cnn"}
	o.Threads = 0
	all := runtime.GOMAXPROCS(0)
	times := []time.Duration{4 * time.Second, 3 * time.Second, time.Second, 2 * time.Second} // 1 thread contiguous, channels last; all the same
	tried := 0
	m, best, err := Fastest(t.Context(), PyTorch, o, func(*Model) (time.Duration, error) {
		tried++
		return times[tried-1], nil
	})
	require.NoError(t, err)
	require.NoError(t, m.Close())
	require.Equal(t, 4, tried)
	require.Equal(t, all, best.Threads)
	require.Equal(t, "contiguous", best.Form)
	wrong := errors.New("wrong output")
	_, _, err = Fastest(t.Context(), PyTorch, o, func(*Model) (time.Duration, error) { return 0, wrong })
	require.ErrorIs(t, err, wrong)
}

// TestModelProtocol checks the exchange without a program.
func TestModelProtocol(t *testing.T) {
	o := ModelOptions{Options: useFake(t, "echo"), Workload: "micro"}
	m, err := StartModel(t.Context(), Ray, o)
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	_, _, err = m.Run(t.Context(), map[string]Tensor{"x": F32([]float32{1, 2}, 2)}, RunArgs{Op: "silent"})
	require.ErrorIs(t, err, ErrProtocol)
	out, ran, err := m.Run(t.Context(), map[string]Tensor{"x": F32([]float32{1, 2}, 2)}, RunArgs{Timing: Timing{Repeat: 2}})
	require.NoError(t, err)
	require.Equal(t, []time.Duration{5, 6}, ran.Times)
	require.Equal(t, 2, ran.Calls)
	require.Equal(t, []float32{1, 2}, out["x"].Float32s())

	var asked []string
	o.Proxy = func(target string) (string, error) {
		asked = append(asked, target)
		return "127.0.0.1:2", nil
	}
	linked, err := StartModel(t.Context(), Ray, o)
	require.NoError(t, err)
	require.NoError(t, linked.Close())
	require.Equal(t, []string{"127.0.0.1:1"}, asked)
	require.Equal(t, "127.0.0.1:2", linked.Transports, "the fake says what it was told")
	refused := errors.New("refused")
	o.Proxy = func(string) (string, error) { return "", refused }
	_, err = StartModel(t.Context(), Ray, o)
	require.ErrorIs(t, err, refused)
	_, err = StartModel(t.Context(), PyTorch, o)
	require.ErrorIs(t, err, ErrUnavailable)
}
