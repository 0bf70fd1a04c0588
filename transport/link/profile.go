package link

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"time"
)

// EnvNet is the environment variable that [FromEnv] reads.
const EnvNet = "GENIE_NET"

// DefaultBurst is the depth of the token bucket in bytes for profiles without
// one: about three Ethernet frames, which a message after an idle period does
// not wait for.
const DefaultBurst = 4 << 10

// ErrProfile is the cause of errors about profiles that do not exist.
var ErrProfile = errors.New("genie: unknown link profile")

// ProfileError says that a text is not a valid profile. It wraps [ErrProfile].
type ProfileError struct {
	Text   string
	Reason string // empty when no part of the text is valid
}

// Error lists the valid forms.
func (e *ProfileError) Error() string {
	reason := ""
	if e.Reason != "" {
		reason = ": " + e.Reason
	}
	return fmt.Sprintf("%v %q%s; want %s, or rate-rtt such as 2.5g-80us or 50m-30ms-j2ms",
		ErrProfile, e.Text, reason, strings.Join(Names(), ", "))
}

// Unwrap is [ErrProfile].
func (e *ProfileError) Unwrap() error { return ErrProfile }

// Profile is the properties of a link, the same in both directions. The zero
// Profile does not shape.
type Profile struct {
	Name string
	// Rate is the bandwidth in bit/s, 0 for no limit.
	Rate int64
	// RTT is the round-trip time of an empty link. Each end delays its writes
	// by half of it.
	RTT time.Duration
	// Jitter is the maximum of a uniform delay that is added to each delay.
	Jitter time.Duration
	// Burst is the depth of the token bucket in bytes, 0 for DefaultBurst.
	Burst int
}

// profiles are the named profiles. Parse would read the same values from each
// name.
var profiles = []Profile{
	{Name: "loopback"},
	{Name: "dc-10g-100us", Rate: 10e9, RTT: 100 * time.Microsecond},
	{Name: "lan-1g-500us", Rate: 1e9, RTT: 500 * time.Microsecond},
	{Name: "wan-100m-20ms", Rate: 100e6, RTT: 20 * time.Millisecond},
}

// Names lists the named profiles.
func Names() []string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.Name
	}
	return names
}

// Loopback is the profile that does not shape.
func Loopback() Profile { return profiles[0] }

// FromEnv is the profile that the environment variable GENIE_NET names,
// [Loopback] when it is unset or empty.
func FromEnv() (Profile, error) {
	text := os.Getenv(EnvNet)
	if text == "" {
		return Loopback(), nil
	}
	p, err := Parse(text)
	if err != nil {
		return Profile{}, fmt.Errorf("%s: %w", EnvNet, err)
	}
	return p, nil
}

// Parse reads the name of a profile or the form [label-]rate-rtt[-jJITTER]: the
// rate in bit/s with a decimal k, m, g or t, the times as [time.ParseDuration]
// reads them; for example 1g-500us, lab-2.5g-80us, 50m-30ms-j2ms. Errors are
// [*ProfileError].
func Parse(text string) (Profile, error) {
	for _, p := range profiles {
		if p.Name == text {
			return p, nil
		}
	}
	p := Profile{Name: text}
	parts := strings.Split(text, "-")
	if len(parts) > 2 && !startsWithDigit(parts[0]) {
		parts = parts[1:]
	}
	if len(parts) < 2 || len(parts) > 3 || !startsWithDigit(parts[0]) {
		return Profile{}, &ProfileError{Text: text}
	}
	var err error
	if p.Rate, err = parseRate(parts[0]); err != nil {
		return Profile{}, &ProfileError{Text: text, Reason: err.Error()}
	}
	if p.RTT, err = time.ParseDuration(parts[1]); err != nil {
		return Profile{}, &ProfileError{Text: text, Reason: fmt.Sprintf("round-trip time %q", parts[1])}
	}
	if len(parts) == 3 {
		jitter, ok := strings.CutPrefix(parts[2], "j")
		if p.Jitter, err = time.ParseDuration(jitter); err != nil || !ok {
			return Profile{}, &ProfileError{Text: text, Reason: fmt.Sprintf("jitter %q", parts[2])}
		}
	}
	if p.RTT < 0 || p.RTT > maxTime || p.Jitter < 0 || p.Jitter > maxTime {
		return Profile{}, &ProfileError{Text: text, Reason: fmt.Sprintf("times are from 0 to %v", maxTime)}
	}
	return p, nil
}

// Limits of the values in a text.
const (
	minRate = 1e3
	maxRate = 1e12
	maxTime = 10 * time.Second
)

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

func parseRate(s string) (int64, error) {
	unit := 1.0
	switch s[len(s)-1] {
	case 'k', 'K':
		unit = 1e3
	case 'm', 'M':
		unit = 1e6
	case 'g', 'G':
		unit = 1e9
	case 't', 'T':
		unit = 1e12
	}
	digits := s
	if unit != 1 {
		digits = s[:len(s)-1]
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, fmt.Errorf("rate %q", s) //nolint:err113 // becomes the reason of a ProfileError
	}
	if v *= unit; !(v >= minRate && v <= maxRate) {
		return 0, fmt.Errorf("rate %q is not between 1k and 1t", s)
	}
	return int64(v), nil
}

// Shapes reports whether the profile changes anything.
func (p Profile) Shapes() bool { return p.Rate > 0 || p.RTT > 0 || p.Jitter > 0 }

// String is the name, or the form that [Parse] reads.
func (p Profile) String() string {
	if p.Name != "" {
		return p.Name
	}
	s := fmt.Sprintf("%d-%v", p.Rate, p.RTT)
	if p.Jitter > 0 {
		s += fmt.Sprintf("-j%v", p.Jitter)
	}
	return s
}

// OneWay is when the last of n bytes arrives that are written at once to an
// idle link, without jitter.
func (p Profile) OneWay(n int) time.Duration {
	return max(p.serialise(uint64(n))-p.serialise(uint64(p.burst())), 0) + p.RTT/2
}

func (p Profile) burst() int {
	if p.Burst > 0 {
		return p.Burst
	}
	return DefaultBurst
}

// serialise is how long n bytes take to leave at Rate.
func (p Profile) serialise(n uint64) time.Duration {
	if p.Rate <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(n, 8*uint64(time.Second))
	if hi >= uint64(p.Rate) {
		return maxWait
	}
	q, _ := bits.Div64(hi, lo, uint64(p.Rate))
	return time.Duration(min(q, uint64(maxWait)))
}

// maxWait stands for times longer than any that matters, far from overflow.
const maxWait = time.Duration(1) << 61

const (
	unbounded = 64 << 20 // the queue of a link without a rate
	maxQueue  = 1 << 30
)

// sendBuffer is how many bytes a connection holds that the link has no room for
// yet: as much as a socket does, and at least two milliseconds' worth, so that
// a late writer does not leave the link idle.
func (p Profile) sendBuffer() int {
	const socket = 1 << 20
	return int(min(max(float64(p.Rate)/8*0.002, socket), unbounded))
}

// queue is the number of bytes that a connection holds in one direction.
func (p Profile) queue() int {
	if p.Rate <= 0 {
		return unbounded
	}
	underWay := float64(p.Rate) / 8 * (p.RTT + p.Jitter).Seconds()
	return int(min(underWay+float64(p.burst()+p.sendBuffer()), maxQueue))
}

// segment is the number of bytes that leave and arrive as one: a quarter of a
// millisecond, but at least a packet.
func (p Profile) segment() int {
	const packet = 1448
	if p.Rate <= 0 {
		return blockSize
	}
	return int(min(max(p.Rate/8/4000, packet), blockSize))
}
