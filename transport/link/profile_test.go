package link

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Profile
	}{
		{"loopback", Profile{}},
		{"dc-10g-100us", Profile{Rate: 10_000_000_000, RTT: 100 * time.Microsecond}},
		{"lan-1g-500us", Profile{Rate: 1_000_000_000, RTT: 500 * time.Microsecond}},
		{"wan-100m-20ms", Profile{Rate: 100_000_000, RTT: 20 * time.Millisecond}},
		{"lan-2.5g-80us", Profile{Rate: 2_500_000_000, RTT: 80 * time.Microsecond}},
		{"1g-500us", Profile{Rate: 1_000_000_000, RTT: 500 * time.Microsecond}},
		{"64K-1s", Profile{Rate: 64_000, RTT: time.Second}},
		{"9600-0s", Profile{Rate: 9600}},
		{"1t-1ns", Profile{Rate: 1_000_000_000_000, RTT: 1}},
		{"50m-30ms-j2ms", Profile{Rate: 50_000_000, RTT: 30 * time.Millisecond, Jitter: 2 * time.Millisecond}},
		{"sat-50m-600ms-j20ms", Profile{Rate: 50_000_000, RTT: 600 * time.Millisecond, Jitter: 20 * time.Millisecond}},
	} {
		t.Run(tt.text, func(t *testing.T) {
			got, err := Parse(tt.text)
			require.NoError(t, err)
			tt.want.Name = tt.text
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.text, got.String())
			got.Name = ""
			if got.Rate > 0 { // what String writes without a name is read again
				again, err := Parse(got.String())
				require.NoError(t, err)
				again.Name = ""
				require.Equal(t, got, again)
			}
		})
	}
}

// TestNamesSayWhatTheyAre parses the names of the table as if they were not in
// it.
func TestNamesSayWhatTheyAre(t *testing.T) {
	require.Equal(t, []string{"loopback", "dc-10g-100us", "lan-1g-500us", "wan-100m-20ms"}, Names())
	for _, p := range profiles[1:] {
		got, err := Parse("x" + p.Name)
		require.NoError(t, err)
		got.Name = p.Name
		require.Equal(t, p, got)
		require.True(t, p.Shapes())
	}
	require.False(t, Loopback().Shapes())
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{
		"", "-", "lan", "loopback2", "1g", "lan-1g", "1g-", "1g-5", "1g-fast", "fast-1ms", "lan-fast-1ms", "1g--1ms", "1x-1ms", "g-1ms",
		"1g-1ms-2ms", "1g-1ms-j", "1g-1ms-jx", "1g-1ms-j2ms-x", "1g-11s", "1g-1ms-j11s", "999-1ms", "1001g-1ms", "NaN-1ms", "0x-1ms", "1g-1ms ",
	} {
		p, err := Parse(text)
		require.ErrorIs(t, err, ErrProfile, "%q", text)
		require.Zero(t, p)
		typed := &ProfileError{}
		require.ErrorAs(t, err, &typed)
		require.Equal(t, text, typed.Text)
		for _, name := range Names() {
			require.ErrorContains(t, err, name)
		}
	}
}

func TestFromEnv(t *testing.T) {
	t.Setenv(EnvNet, "")
	p, err := FromEnv()
	require.NoError(t, err)
	require.Equal(t, Loopback(), p)
	t.Setenv(EnvNet, "wan-100m-20ms")
	p, err = FromEnv()
	require.NoError(t, err)
	require.Equal(t, 20*time.Millisecond, p.RTT)
	t.Setenv(EnvNet, "wam")
	_, err = FromEnv()
	require.ErrorIs(t, err, ErrProfile)
	require.ErrorContains(t, err, `GENIE_NET: genie: unknown link profile "wam"; want loopback, dc-10g-100us`)
}

func FuzzParse(f *testing.F) {
	for _, p := range profiles {
		f.Add(p.Name)
	}
	f.Add("50m-30ms-j2ms")
	f.Add("1e3-1h")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			require.ErrorIs(t, err, ErrProfile)
			return
		}
		again, err := Parse(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
		if nameless := p; p.Rate > 0 {
			nameless.Name = ""
			again, err = Parse(nameless.String())
			require.NoError(t, err)
			again.Name = ""
			require.Equal(t, nameless, again)
		}
		if !strings.Contains(text, "\x00") {
			t.Setenv(EnvNet, text)
			again, err = FromEnv()
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
		require.GreaterOrEqual(t, p.Rate, int64(0))
		require.GreaterOrEqual(t, p.Jitter, time.Duration(0))
		require.LessOrEqual(t, p.RTT, maxTime)
		require.LessOrEqual(t, p.Rate, int64(maxRate))
		require.Positive(t, p.queue())
		require.LessOrEqual(t, p.queue(), maxQueue)
		require.Positive(t, p.segment())
		require.GreaterOrEqual(t, p.OneWay(1<<30), p.RTT/2)
	})
}
