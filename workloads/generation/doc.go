// Package generation reads the generation settings that are beside a language model:
// those of generation_config.json, or of config.json where there is no such file, as in
// transformers.
package generation
