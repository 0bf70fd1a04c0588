// Package bert captures encoders of the BERT family (Devlin et al.,
// arXiv:1810.04805) from checkpoints as Hugging Face writes them for BertModel,
// and makes embeddings of sentences with them: the mean over the last layer's
// rows, of length 1, as sentence-transformers' all-MiniLM-L6-v2 does.
//
//	m, err := bert.Load(ctx, dir, bert.LoadOptions{})
//	rows, err := m.Embed(ctx, session, [][]int{{101, 7592, 2088, 102}})
//
// Sentences are token ids; there is no WordPiece tokenizer here.
package bert
