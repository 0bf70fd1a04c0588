package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// documents are the pages that show commands of this program.
func documents(t *testing.T) []string {
	t.Helper()
	pages := []string{"../../README.md", "../../SECURITY.md", "../../CONTRIBUTING.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md", "../../deploy/*.md", "../../examples/*.md", "../../baselines/*/*/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		pages = append(pages, found...)
	}
	return pages
}

// shownCommands are the command lines of this program in the code of a page:
// in blocks and in spans, which may wrap.
func shownCommands(page string) []string {
	page = strings.ReplaceAll(page, "\\\n", " ")
	var out []string
	for _, code := range regexp.MustCompile("(?s)```[a-z]*\n.*?```|`[^`\n]+`").FindAllString(page, -1) {
		for line := range strings.Lines(strings.Trim(code, "`")) {
			line, _, _ = strings.Cut(line, " # ")
			for _, m := range regexp.MustCompile(`(?:^|[\s/(])genie ([a-z]+(?:\s[^|;)]*|$))`).FindAllStringSubmatch(line, -1) {
				out = append(out, strings.TrimSpace(m[1]))
			}
		}
	}
	return out
}

// unknown is what a command line names that this program does not have: the
// command, or a flag of it. Words that stand for something (FILE, [--top 5]) are
// no arguments of its.
func unknown(root *cobra.Command, line string) string {
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ", "…", " ", `\`, " ").Replace(line))
	cmd, _, err := root.Find(words)
	if err != nil || cmd == root {
		return "command " + words[0]
	}
	if len(words) > 1 && cmd.HasSubCommands() && regexp.MustCompile(`^[a-z]+$`).MatchString(words[1]) {
		return "command " + words[0] + " " + words[1]
	}
	for _, w := range words {
		name, isFlag := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && name != "" && name != "help" && cmd.Flags().Lookup(name) == nil {
			return "flag --" + name + " of " + cmd.CommandPath()
		}
	}
	return ""
}

// TestDocumentedCommands verifies that the commands and flags that the
// documents show are those of this program.
func TestDocumentedCommands(t *testing.T) {
	shown := 0
	for _, page := range documents(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, line := range shownCommands(string(text)) {
			shown++
			if what := unknown((&app{}).root(), line); what != "" {
				t.Errorf("%s shows %q: there is no %s", page, "genie "+line, what)
			}
		}
	}
	require.Greater(t, shown, 60)
	for line, want := range map[string]string{
		"serve --listen tcp://:1":           "command serve",
		"bench compare a b":                 "command bench compare",
		"worker --listen X --port 7":        "flag --port of genie worker",
		"top URL [--flops=3]":               "flag --flops of genie top",
		"bench run --count 10 --out x":      "",
		"vqa --image FILE… [--help]":        "",
		"models new resnet-50 --out DIR/r5": "",
	} {
		require.Equal(t, want, unknown((&app{}).root(), line))
	}
}

// TestEveryCommandIsDocumented verifies that docs/commands.md has every
// command.
func TestEveryCommandIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/commands.md")
	require.NoError(t, err)
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Runnable() && c.HasParent() && c.Name() != "help" && c.Name() != "completion" && !c.Hidden {
			require.Regexp(t, "`"+c.CommandPath()+"[ `]", string(page))
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
}
