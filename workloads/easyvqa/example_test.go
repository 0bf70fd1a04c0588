package easyvqa_test

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/workloads/easyvqa"
)

// Questions about the first images of the test split. With the URL of a worker
// the network runs there.
func Example() {
	ctx := context.Background()
	client := must(genie.Open(ctx, "local:")) // or "tcp://host:7070", "grpc://host:7071"
	defer client.Close()
	session := must(client.NewSession(ctx))
	model := must(easyvqa.Load(ctx, "../../testdata/models/easy-vqa", easyvqa.LoadOptions{}))
	defer model.Close()

	split := must(easyvqa.LoadSplit("../../testdata/easy-vqa"))
	pixels := must(model.Config.Pixels(split.Images[:2]...))
	questions := []easyvqa.Question{
		{Image: 0, Text: "What shape is in the image?"},
		{Image: 0, Text: "What color is the shape?"},
		{Image: 1, Text: "Is there not a yellow shape?"},
		{Image: 1, Text: "Is there a rectangle in the image?"},
	}
	for i, answer := range must(model.Answer(ctx, session, pixels, questions)) {
		fmt.Println(questions[i].Image, questions[i].Text, answer)
	}
	// Output:
	// 0 What shape is in the image? triangle
	// 0 What color is the shape? red
	// 1 Is there not a yellow shape? no
	// 1 Is there a rectangle in the image? yes
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
