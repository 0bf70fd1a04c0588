package engine

// Memory on the Go heap is counted by component. The numbers are those of a
// 64-bit machine, including the allocator's classes and maps; a test compares
// them with the heap.
const (
	valueBytes    = 240 // a value with its place, layout and lists, without its dimensions
	stepBytes     = 510 // a step with its operator and group
	attrBytes     = 160
	stateBytes    = 400
	portBytes     = 160
	quotientBytes = 512 // the compiled terms of its dividend
	weightBytes   = 420 // in maps by value and by content
	dimBytes      = 64
	termBytes     = 96
	inBytes       = 32

	boundClassBytes  = 40
	boundBufferBytes = 32
	boundStateBytes  = 480 // including the state itself, which the session has
	boundInputBytes  = 64
	boundBytes       = 3 << 10 // independent of the plan

	weightHead = 512 // of a held weight, in addition to its content
	keptHead   = 512 // of a retained value, likewise
)
