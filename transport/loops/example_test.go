package loops_test

import (
	"encoding/binary"
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/loops"
)

// A loop over a model that says the number after the one it is given, of one
// sequence that ends with 12.
func Example() {
	i32 := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	loop := transport.Loop{
		Inputs: []transport.LoopInput{{Kind: transport.LoopToken}}, // the input is the token before
		Grow:   []int{1},                                           // the cache has a row more at each run
		Limits: []int{100}, Stop: []int32{12},
	}
	state := loops.Start(&loop, []int{3}, [][]byte{i32(8)})
	for more := true; more; {
		said := i32(binary.LittleEndian.Uint32(state.Inputs[0]) + 1)
		fmt.Println("past", state.Bindings[0], "token", said[0])
		var err error
		if more, err = state.Next(said); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// past 3 token 9
	// past 4 token 10
	// past 5 token 11
	// past 6 token 12
}
