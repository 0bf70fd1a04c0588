package main

import (
	"math"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/weightcache"
)

// byteSize is a flag of bytes with units.
type byteSize int64

// String implements [pflag.Value].
func (b *byteSize) String() string {
	if *b == 0 {
		return "0"
	}
	return humanize.IBytes(uint64(*b))
}

// Set implements [pflag.Value].
func (b *byteSize) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt64 {
		return usagef("%q is not a number of bytes such as 512MiB or 24GiB", text)
	}
	*b = byteSize(n)
	return nil
}

// Type implements [pflag.Value].
func (b *byteSize) Type() string { return "bytes" }

// memoryOptions are the limits of a worker's memory and disk use.
type memoryOptions struct {
	limit, session byteSize
	cache          string
	cacheBytes     byteSize
	cacheEntries   int
}

func (o *memoryOptions) flags(f *pflag.FlagSet) {
	f.Var(&o.limit, "mem-limit", "memory budget for weights, caches and runs, such as 24GiB; requests that do not fit are refused; 0 means no limit")
	f.Var(&o.session, "session-mem", "memory budget for the caches and retained values of each session; 0 means no limit")
	f.StringVar(&o.cache, "cache", "", "folder that stores uploaded weights, so that clients need not upload them again")
	o.cacheBytes = 16 << 30
	f.Var(&o.cacheBytes, "cache-bytes", "maximum size of the cache; the least recently used files are evicted first")
	f.IntVar(&o.cacheEntries, "cache-entries", 8192, "maximum number of files in the cache")
}

func (o *memoryOptions) check(f *pflag.FlagSet) error {
	for _, name := range []string{"cache-bytes", "cache-entries"} {
		if f.Changed(name) && o.cache == "" {
			return usagef("--%s needs --cache", name)
		}
	}
	if o.cacheBytes <= 0 || o.cacheEntries <= 0 {
		return usagef("a cache of %v in %d files: leave --cache out for none", &o.cacheBytes, o.cacheEntries)
	}
	return nil
}

// engine sets the limits of an engine.
func (o *memoryOptions) engine(e *engine.Options) {
	e.MemLimit, e.SessionMemory = int64(o.limit), int64(o.session)
}

// openCache opens the folder for weights; nil without --cache.
func (o *memoryOptions) openCache() (*weightcache.Cache, error) {
	if o.cache == "" {
		return nil, nil //nolint:nilnil // no cache is no error
	}
	return weightcache.Open(o.cache, weightcache.Options{MaxBytes: int64(o.cacheBytes), MaxEntries: o.cacheEntries})
}
