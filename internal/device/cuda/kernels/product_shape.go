package kernels

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/transport/plan"
)

// From how many rows on products are computed by the tiled kernels.
const (
	mostSkinny32 = 32
	mostSkinny16 = 32
)

// The lengths of the chunks of a reduction, see packed.cuh.
const (
	chunk32 = 64
	chunk16 = 128
)

// sharedReserve is what the system takes of the shared memory of a block.
const sharedReserve = 1 << 10

// product32 chooses the kernel and its grid. What it chooses does not affect
// the results.
func (s *Set) product32(st driver.Stream, a *productArgs) error {
	rows, n := int(a.rows), int(a.n)
	// A few tiles leave most of the device idle: reading the weight again from the
	// second-level cache takes less time.
	most := mostSkinny32
	if (n+63)/64 < s.props.Multiprocessors/2 {
		most *= 2
	}
	if rows > most {
		return s.tiled32(st, a)
	}
	m, name := 8, "product_skinny_8"
	switch {
	case rows == 1:
		m, name = 1, "product_skinny_1"
	case rows == 2:
		m, name = 2, "product_skinny_2"
	case rows <= 4:
		m, name = 4, "product_skinny_4"
	}
	groups, panels, chunks := (rows+m-1)/m, (n+panelF32-1)/panelF32, (int(a.k)+chunk32-1)/chunk32
	units, block := s.unitsOf(rows, panels, groups), 128
	// Shared memory is for two blocks at a time. If the rows are too long for
	// that, one large block has fewer passes, and reads them for more columns.
	segment := segmentOf(chunks, m, units, s.sharedShare())
	if segment < chunks && m >= 4 {
		units, block = max(units, min(2, panels)), 256
		segment = segmentOf(chunks, m, units, max(48<<10, s.props.SharedPerBlock-sharedReserve))
	}
	a.groups, a.units, a.segment = uint32(groups), uint32(units), uint32(segment)
	shared := skinnyShared(segment, m, units)
	return s.launchProduct(st, name, a, (panels+units-1)/units, evenly(units*segment*2, block), shared)
}

// skinnyShared is the shared memory of a block of the skinny float32 kernels:
// rows, partial results and totals.
func skinnyShared(segment, m, units int) int {
	return 4 * m * (segment*(chunk32+4+units*panelF32) + units*panelF32)
}

// segmentOf is the number of chunks of a pass: the passes are equal, and as many
// as the shared memory makes necessary.
func segmentOf(chunks, m, units, shared int) int {
	most := max(1, (shared-skinnyShared(0, m, units))/(skinnyShared(1, m, units)-skinnyShared(0, m, units)))
	passes := max(1, (chunks+most-1)/most)
	return max(1, (chunks+passes-1)/passes)
}

// unitsOf is how many units of columns a block computes. For one row blocks
// are small, so that they fill the device evenly. For several rows they have
// about an equal part each, since all read the rows.
func (s *Set) unitsOf(rows, units, groups int) int {
	sms := max(1, s.props.Multiprocessors)
	if rows < 4 {
		return min(8, (units*groups+4*sms-1)/(4*sms))
	}
	return min(8, max(1, units*groups/sms))
}

// sharedShare is half of a multiprocessor's shared memory.
func (s *Set) sharedShare() int { return max(48<<10, s.props.SharedPerBlock/2-sharedReserve) }

// evenly is the number of threads, a multiple of a warp, that n items need, or
// that take the same number of items each.
func evenly(n, most int) int {
	turns := max(1, (n+most-1)/most)
	return max(32, roundUp((n+turns-1)/turns, 32))
}

func (s *Set) tiled32(st driver.Stream, a *productArgs) error {
	rows, columns := int(a.rows), (int(a.n)+63)/64
	if big := (rows + 127) / 128; big*columns >= s.props.Multiprocessors {
		a.groups = uint32(big)
		return s.launchProduct(st, "product_tiled_128", a, columns, 256, 0)
	}
	a.groups = uint32((rows + 63) / 64)
	return s.launchProduct(st, "product_tiled_64", a, columns, 256, 0)
}

// names16 are the kernels for one type of 16 bits.
type names16 struct{ skinny8, skinny16, skinny32, convert, tiled32, tiled64, tiled128 string }

var (
	namesF16 = names16{
		"product_f16_skinny_8", "product_f16_skinny_16", "product_f16_skinny_32",
		"convert_rows_f16", "product_f16_tiled_32", "product_f16_tiled_64", "product_f16_tiled_128",
	}
	namesBF16 = names16{
		"product_bf16_skinny_8", "product_bf16_skinny_16", "product_bf16_skinny_32",
		"convert_rows_bf16", "product_bf16_tiled_32", "product_bf16_tiled_64", "product_bf16_tiled_128",
	}
)

// product16 is product32 for weights of 16 bits.
func (s *Set) product16(st driver.Stream, a *productArgs, elem plan.DType) error {
	names := &namesF16
	if elem == plan.BF16 {
		names = &namesBF16
	}
	rows := int(a.rows)
	if rows > mostSkinny16 {
		return s.tiled16(st, a, names)
	}
	m, warps, name := 8, 13, names.skinny8
	switch {
	case rows > 16:
		m, warps, name = 32, 8, names.skinny32
	case rows > 8:
		m, warps, name = 16, 8, names.skinny16
	}
	steps := roundUp(int(a.k), packedRows) / panelStep
	groups, units, chunks := (rows+m-1)/m, (int(a.n)+panel16-1)/panel16, (steps*panelStep+chunk16-1)/chunk16
	if units*groups >= 2*s.props.Multiprocessors {
		warps = 8 // two blocks at a time
	}
	a.groups = uint32(groups)
	a.units = uint32(s.unitsOf(rows, units, groups))
	perUnit := min(m, rows) * panel16 * 4
	most := max(1, 48<<10/(int(a.units)*perUnit)-1)
	passes := max(1, (chunks+most-1)/most)
	a.segment = uint32(max(1, (chunks+passes-1)/passes))
	shared := int(a.units) * perUnit * (int(a.segment) + 1)
	tasks := int(a.units) * int(a.segment)
	return s.launchProduct(st, name, a, (units+int(a.units)-1)/int(a.units), evenly(32*tasks, 32*warps), shared)
}

// productTile is a tiled kernel of 16 bits: the rows and columns of a block, and the
// time of a turn of the device in which a multiprocessor has one block, by that
// of 64 columns and 128 rows. (Small tiles read more for each instruction.)
type productTile struct {
	rows, columns, block int
	first, later         int // of the first turn and of another, in hundredths
}

var tiles16 = [...]productTile{{64, 32, 128, 55, 35}, {128, 64, 128, 110, 110}, {128, 128, 256, 200, 200}}

// shared is four stages of 64 k's.
func (t *productTile) shared() int { return 4 * (t.rows + t.columns) * 64 * 2 }

// tiled16 converts the rows to 16 bits and multiplies, with the tiles of the
// lowest estimate.
func (s *Set) tiled16(st driver.Stream, a *productArgs, names *names16) error {
	rows, n := int(a.rows), int(a.n)
	if warps := roundUp(rows, panelStep) / panelStep * (roundUp(int(a.k), packedRows) / panelStep); warps > 0 {
		if warps > maxAxis {
			return fmt.Errorf("genie: kernels: a product of %d rows of %d elements", rows, a.k)
		}
		grid := driver.Dim{X: min((warps+7)/8, 1<<16), Y: 1, Z: 1}
		if err := launch(s, st, names.convert, grid, driver.Dim{X: threads, Y: 1, Z: 1}, 0, a); err != nil {
			return err
		}
	}
	sms := max(1, s.props.Multiprocessors)
	best, least := 0, 0
	for i := range tiles16 {
		t := &tiles16[i]
		turns := ((rows+t.rows-1)/t.rows*((n+t.columns-1)/t.columns) + sms - 1) / sms
		if cost := t.first + (turns-1)*t.later; i == 0 || cost < least && t.shared() <= s.props.SharedPerBlock {
			best, least = i, cost
		}
	}
	t := &tiles16[best]
	a.groups = uint32((rows + t.rows - 1) / t.rows)
	name := [...]string{names.tiled32, names.tiled64, names.tiled128}[best]
	return s.launchProduct(st, name, a, (n+t.columns-1)/t.columns, t.block, t.shared())
}

// launchProduct launches blocks for all groups of rows and blocks of columns.
// The groups of the same columns are neighbours, so that the weight is read from
// memory once.
func (s *Set) launchProduct(st driver.Stream, name string, a *productArgs, columns, block, shared int) error {
	blocks := columns * int(a.groups)
	if blocks > math.MaxInt32 {
		return fmt.Errorf("genie: kernels: a product of %d rows and %d columns", a.rows, a.n)
	}
	return launch(s, st, name, driver.Dim{X: blocks, Y: 1, Z: 1}, driver.Dim{X: block, Y: 1, Z: 1}, shared, a)
}

// allowShared permits the products what they take beyond 48 KiB.
func (s *Set) allowShared() error {
	allow := map[string]int{}
	for _, name := range []string{"product_skinny_1", "product_skinny_2", "product_skinny_4", "product_skinny_8"} {
		allow[name] = max(48<<10, s.props.SharedPerBlock-sharedReserve)
	}
	for _, n := range []*names16{&namesF16, &namesBF16} {
		allow[n.tiled64], allow[n.tiled128] = tiles16[1].shared(), tiles16[2].shared()
	}
	for name, n := range allow {
		if n > s.props.SharedPerBlock {
			continue // no launch takes it
		}
		if err := s.functions[name].AllowShared(n); err != nil {
			return fmt.Errorf("genie: kernel %s: %w", name, err)
		}
	}
	return nil
}
