package report

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestResultsComeFirst: a page begins with the overview and its charts; the
// settings of the run are folded below them.
func TestResultsComeFirst(t *testing.T) {
	html := render(t, New(open(t, "old.txt"), open(t, "new.txt")))
	at := func(s string) int {
		i := strings.Index(html, s)
		require.GreaterOrEqual(t, i, 0, s)
		return i
	}
	last := strings.LastIndex(html, "<figure>")
	require.Less(t, at(`<section id="overview">`), at("<figure>"))
	require.Less(t, last, at("Settings of the run"))
	for _, setting := range []string{"<dt>commit</dt>", "<dt>goos</dt>"} {
		i := at(setting)
		require.Less(t, last, i, setting)
		folded := strings.LastIndex(html[:i], "<details>")
		require.Greater(t, folded, strings.LastIndex(html[:i], "</details>"), "%s is not folded", setting)
	}
}

// TestNarrowCharts: every chart has a version for narrow screens, with text as
// large as the screen's and nothing outside its frame.
func TestNarrowCharts(t *testing.T) {
	html := render(t, New(open(t, "old.txt"), open(t, "new.txt")))
	charts := regexp.MustCompile(`(?s)<svg class="narrow-screen" viewBox="0 0 (\d+) \d+".*?</svg>`).FindAllStringSubmatch(html, -1)
	require.Len(t, charts, strings.Count(html, `<svg class="wide-screen"`))
	text := regexp.MustCompile(`<text x="([^"]+)" y="[^"]+" text-anchor="(\w+)" class="([^"]+)">([^<]*)<`)
	for _, c := range charts {
		require.Equal(t, "360", c[1])
		for _, m := range text.FindAllStringSubmatch(c[0], -1) {
			x, err := strconv.ParseFloat(m[1], 64)
			require.NoError(t, err)
			w := 0.85 * textWidth(strings.ReplaceAll(m[4], "&#43;", "+")) // the estimate is generous
			from := x - map[string]float64{"start": 0, "middle": w / 2, "end": w}[m[2]]
			require.GreaterOrEqual(t, from, 0.0, m[0])
			require.LessOrEqual(t, from+w, 376.0, m[0]) // the page adds 14 px
		}
	}
}
