package semantic

import (
	"slices"
	"strings"
)

// SourceMeasured is the [Device.Source] of a device whose speeds were measured.
const SourceMeasured = "measured"

// launchSeconds is what a kernel in a stream of kernels costs in addition to
// its own time: 3.8 us a kernel of 2.9 us in "Getting Started with CUDA Graphs"
// (NVIDIA developer blog, 2019).
const launchSeconds = 0.9e-6

// GPU describes a GPU to [PublishedGPU], as its driver does.
type GPU struct {
	Name            string // such as NVIDIA H100 80GB HBM3
	Major, Minor    int    // compute capability
	Multiprocessors int
	ClockKHz        int // of the multiprocessors, at most
	MemoryClockKHz  int
	BusBits         int // width of the memory bus
}

// published are the peak rates in the data sheets of NVIDIA, dense (without
// sparsity), by the name that the driver gives or a part of it. The first that
// is in a device's name applies, so longer names come first.
var published = []struct {
	part         string // of the name, in lower case
	sheet        string
	tflops, half float64 // float32 without tensor cores; bfloat16 with them
	gigabytes    float64 // a second
}{
	{"b200", "NVIDIA HGX B200", 75, 2250, 8000},
	{"h200 nvl", "NVIDIA H200 NVL", 60, 835, 4800},
	{"h200", "NVIDIA H200 SXM", 67, 989, 4800},
	{"gh200", "NVIDIA GH200", 67, 989, 4000},
	{"h100 nvl", "NVIDIA H100 NVL", 60, 835, 3900},
	{"h100 pcie", "NVIDIA H100 PCIe", 51, 756, 2000},
	{"h100", "NVIDIA H100 SXM", 67, 989, 3350},
	{"a100-sxm4-40gb", "NVIDIA A100 40GB SXM", 19.5, 312, 1555},
	{"a100-pcie-40gb", "NVIDIA A100 40GB PCIe", 19.5, 312, 1555},
	{"a100 80gb pcie", "NVIDIA A100 80GB PCIe", 19.5, 312, 1935},
	{"a100", "NVIDIA A100 80GB SXM", 19.5, 312, 2039},
	{"a30", "NVIDIA A30", 10.3, 165, 933},
	{"l40s", "NVIDIA L40S", 91.6, 362, 864},
	{"l40", "NVIDIA L40", 90.5, 181, 864},
	{"a10", "NVIDIA A10", 31.2, 125, 600},
	{"l4", "NVIDIA L4", 30.3, 121, 300},
}

// PublishedGPUs lists the names that [PublishedNamed] knows.
func PublishedGPUs() []string {
	out := make([]string, len(published))
	for i, p := range published {
		out[i] = p.part
	}
	slices.Sort(out)
	return out
}

// PublishedNamed is the cost model's description of a GPU by its published
// figures, such as h100 or a100-sxm4-40gb.
func PublishedNamed(name string) (Device, bool) {
	for _, p := range published {
		if strings.EqualFold(p.part, name) {
			return publishedDevice(p.tflops*1e12, p.half*1e12, p.gigabytes*1e9, "published: "+p.sheet+" data sheet, not measured"), true
		}
	}
	return Device{}, false
}

// PublishedGPU is the cost model's description of a GPU until it is measured:
// the figures of its data sheet, or of another GPU of that architecture from
// what the driver says of this one. [Device.Source] says which. It is false for
// an architecture that is not known.
func PublishedGPU(g GPU) (Device, bool) {
	words := strings.ToLower(g.Name)
	for _, p := range published {
		if containsName(words, p.part) {
			return PublishedNamed(p.part)
		}
	}
	cycle, ok := perCycle[[2]int{g.Major, g.Minor}]
	hertz := float64(g.Multiprocessors) * float64(g.ClockKHz) * 1e3
	bandwidth := 2 * float64(g.MemoryClockKHz) * 1e3 * float64(g.BusBits) / 8 // double data rate
	if !ok || hertz <= 0 || bandwidth <= 0 {
		return Device{}, false
	}
	return publishedDevice(cycle.flops*hertz, cycle.half*hertz, bandwidth,
		"derived: clocks and units of "+g.Name+" by its driver, not measured"), true
}

// containsName reports whether part is in a name as whole words: l4 is not in
// nvidia l40.
func containsName(name, part string) bool {
	for from := 0; ; {
		i := strings.Index(name[from:], part)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(part)
		if (start == 0 || !alphanumeric(name[start-1])) && (end == len(name) || !alphanumeric(name[end])) {
			return true
		}
		from = start + 1
	}
}

func alphanumeric(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// perCycle is the operations of one multiprocessor in one cycle by compute
// capability, dense: float32 without tensor cores (CUDA C++ Programming Guide,
// "Arithmetic Instructions", two per FMA), and bfloat16 on tensor cores
// (white papers of Ampere, Ada, Hopper and Blackwell).
var perCycle = map[[2]int]struct{ flops, half float64 }{
	{8, 0}:  {128, 2048},
	{8, 6}:  {256, 1024},
	{8, 9}:  {256, 1024},
	{9, 0}:  {256, 4096},
	{10, 0}: {256, 8192},
}

func publishedDevice(flops, half, bandwidth float64, source string) Device {
	return Device{
		Kind: DeviceCUDA, FLOPS: flops, HalfFLOPS: half, Bandwidth: bandwidth, Launch: launchSeconds, Source: source,
		Lacks: withoutCode(), // in a product; cast, equal and where have kernels of their own
	}
}
