package bert_test

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads/bert"
)

// Two sentences that begin alike, embedded by a small network with random
// weights. With the URL of a worker it runs there.
func Example() {
	ctx := context.Background()
	client := must(genie.Open(ctx, "local:")) // or "tcp://host:7070", "grpc://host:7071"
	defer client.Close()
	session := must(client.NewSession(ctx))
	model := must(bert.Load(ctx, "../../testdata/bert/tiny", bert.LoadOptions{}))
	defer model.Close()

	rows := must(model.Embed(ctx, session, [][]int{{3, 14, 15, 92}, {3, 14, 15, 65, 35}}))
	fmt.Println(len(rows), "vectors of", len(rows[0]), "numbers")
	fmt.Printf("length %.3f\n", bert.Dot(rows[0], rows[0]))
	// Output:
	// 2 vectors of 36 numbers
	// length 1.000
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
