// Package easyvqa answers questions about images of the easy-VQA data set
// (Victor Zhou, 2019; https://github.com/vzhou842/easy-VQA) with a small
// network trained on it by testdata/scripts/train_easy_vqa.py. An image is one
// coloured shape on a plain background, 64x64; an answer is one of 13: a shape,
// a colour, yes or no. See docs/easy-vqa.md.
//
//	m, err := easyvqa.Load(ctx, "testdata/models/easy-vqa", easyvqa.LoadOptions{})
//	answers, err := m.Answer(ctx, session, pixels, []easyvqa.Question{{Image: 0, Text: "what color is the shape?"}})
//
// The network has two branches, one for the image and one for the question,
// which meet in a product. It encodes an image once for all the questions about
// it.
package easyvqa
