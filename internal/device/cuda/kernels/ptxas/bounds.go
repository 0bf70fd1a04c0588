package ptxas

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// ErrBounds means that a function uses more than its bound, or has none.
var ErrBounds = errors.New("genie: kernels outside their bounds")

const head = `# The most that each function of the kernels may use, by ptxas. A kernel that uses
# more, or has no line, fails the check; go run ./compile -bounds writes what they
# use now.
`

// Format writes usages as a file of bounds.
func Format(all []Usage) string {
	var b strings.Builder
	b.WriteString(head)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "# function\ttarget\tregisters\tstack\tspill\tshared")
	for _, u := range sorted(all) {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\n", u.Function, u.Target, u.Registers, u.Stack, u.Spill, u.Shared)
	}
	_ = w.Flush() // a builder takes everything
	return b.String()
}

func sorted(all []Usage) []Usage {
	return slices.SortedFunc(slices.Values(all), func(a, b Usage) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.Target, b.Target))
	})
}

// ReadBounds reads what Format writes.
func ReadBounds(text string) ([]Usage, error) {
	var all []Usage
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var u Usage
		if n, err := fmt.Sscan(line, &u.Function, &u.Target, &u.Registers, &u.Stack, &u.Spill, &u.Shared); err != nil {
			return nil, fmt.Errorf("genie: line %d of the bounds, after %d columns: %w", i+1, n, err)
		}
		all = append(all, u)
	}
	return all, nil
}

// Check holds usages to their bounds. The error names each function that uses more
// or has no bound, and each bound that nothing has.
func Check(bounds, used []Usage) error {
	type key struct{ function, target string }
	most := map[key]Usage{}
	for _, b := range bounds {
		k := key{b.Function, b.Target}
		if _, twice := most[k]; twice {
			return fmt.Errorf("%w: %s for %s has two bounds", ErrBounds, b.Function, b.Target)
		}
		most[k] = b
	}
	var errs []error
	for _, u := range sorted(used) {
		k := key{u.Function, u.Target}
		b, ok := most[k]
		delete(most, k)
		if !ok {
			errs = append(errs, fmt.Errorf("%w: %s for %s has no bound", ErrBounds, u.Function, u.Target))
		}
		for _, v := range []struct {
			of        string
			used, may int
		}{
			{"registers", u.Registers, b.Registers},
			{"bytes of stack", u.Stack, b.Stack},
			{"bytes of spills", u.Spill, b.Spill},
			{"bytes of shared memory", u.Shared, b.Shared},
		} {
			if ok && v.used > v.may {
				errs = append(errs, fmt.Errorf("%w: %s for %s uses %d %s, and may use %d", ErrBounds, u.Function, u.Target, v.used, v.of, v.may))
			}
		}
	}
	for _, b := range sorted(bounds) {
		if _, left := most[key{b.Function, b.Target}]; left {
			errs = append(errs, fmt.Errorf("%w: there is no %s for %s", ErrBounds, b.Function, b.Target))
		}
	}
	return errors.Join(errs...)
}
