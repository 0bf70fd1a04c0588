// Package checkpoint loads a model directory in the Hugging Face layout into a
// captured program: config.json beside model.safetensors, or beside several
// shards with an index. With it a family of models is written outside this module
// as those of package workloads are: a function that reads the configuration, and
// one that captures the program.
//
//	func Load(ctx context.Context, dir string) (*Model, error) {
//		return checkpoint.Load(ctx, dir, checkpoint.Options{}, ParseConfig, capture)
//	}
//
//	func ParseConfig(text []byte) (Config, error) {
//		file, err := checkpoint.ParseConfig(text)
//		...
//		err = checkpoint.CheckType(file, "mine")
//		r := file.Reader()
//		r.Int("hidden_size", &c.Hidden) // unchanged where the file has none
//		return c, r.Err()
//	}
//
//	func capture(files *checkpoint.Model, c Config) (*Model, error) {
//		g := files.NewGraph("mine")
//		t := files.Tensors(g, "model.") // found with and without this prefix
//		table := t.Weight("embed_tokens.weight", c.Vocab, c.Hidden)
//		...
//		return m, t.Err()
//	}
//
// Weights stay memory-mapped: a graph refers to them, and an executor gets those
// that it does not have. Each is named by the hash of its content, which is
// computed once for each checkpoint.
//
// Everything that a file claims is checked before it is believed: sizes of files
// and headers, shapes, offsets, names, links out of the folder. Errors wrap this
// package's sentinels, and their text names the file and the tensor or the key.
package checkpoint
