// Package memory maps memory outside the Go heap, which the collector neither
// scans nor doubles, and reports the memory use of the process.
package memory
