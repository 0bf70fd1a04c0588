// Package bert captures encoders of the BERT family (Devlin et al.,
// arXiv:1810.04805) from checkpoints in the Hugging Face layout of BertModel.
// It also computes sentence embeddings: the mean over the last layer's rows,
// normalised to length 1, as in sentence-transformers' all-MiniLM-L6-v2.
//
//	m, err := bert.Load(ctx, dir, bert.LoadOptions{})
//	rows, err := m.Embed(ctx, session, [][]int{{101, 7592, 2088, 102}})
//
// Sentences are token ids; this package has no WordPiece tokenizer.
package bert
