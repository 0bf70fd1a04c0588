// Package lint holds the rules of this module that no off-the-shelf linter
// knows: who may import whom, what a package may link, what code may print or
// keep, how files are named and how long they are. The rules are its tests, so
// that `go test ./...` holds them; docs/architecture.md gives their reasons.
package lint
