package genie

// MaxStates is maxStates.
const MaxStates = maxStates
