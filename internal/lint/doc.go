// Package lint contains the rules of this module that no off-the-shelf linter
// knows: allowed imports, the packages that a binary may link, the code that
// may print or keep state, and the names and lengths of files. The rules are
// its tests, so that `go test ./...` enforces them; docs/architecture.md gives
// their reasons.
package lint
