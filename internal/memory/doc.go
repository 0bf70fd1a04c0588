// Package memory maps memory outside the Go heap, which the collector neither
// scans nor doubles, and tells how much memory the process has used.
package memory
