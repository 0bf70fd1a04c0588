package gpt2_test

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// A checkpoint continues a text. With the URL of a worker it does so there, with
// the same tokens. README.md shows this program; a test in internal/lint compares
// the two.
func Example() {
	ctx := context.Background()
	client := must(genie.Open(ctx, "local:")) // or "tcp://host:7070", "grpc://host:7071"
	defer client.Close()
	session := must(client.NewSession(ctx))

	model := must(gpt2.Load(ctx, "../../testdata/models/austen", gpt2.LoadOptions{}))
	defer model.Close()
	prompt := must(model.Tokenizer.Encode("It is a truth universally acknowledged"))
	out := must(genie.Generate(ctx, session, model.LM, genie.GenerateRequest{
		Prompts: [][]int{prompt}, MaxNew: 12,
	}))
	fmt.Println(must(model.Tokenizer.Decode(out.Tokens[0])))
	// Output: , and I am sure I should not have been so much
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
