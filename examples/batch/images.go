package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/gif" // formats that image.Decode reads
	_ "image/jpeg"
	_ "image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile bounds the bytes read from a file that claims to be an image.
const maxFile = 16 << 20

// list finds the images of a folder, by their paths below it, in order.
func list(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || !slices.Contains([]string{".png", ".jpg", ".jpeg", ".gif"}, strings.ToLower(filepath.Ext(path))) {
			return nil
		}
		below, err := filepath.Rel(folder, path)
		files = append(files, filepath.ToSlash(below))
		return err
	})
	return files, err
}

// batch contains the images read, and the errors of unreadable files.
type batch struct {
	files  []string // of images
	images []image.Image
	bad    []error
}

// read reads and decodes files, size at a time, one batch ahead of the
// receiver. It closes the channel at the end, or when ctx ends; batches after
// that may be missing.
func read(ctx context.Context, folder string, files []string, size, pixels int) <-chan batch {
	batches := make(chan batch, 1)
	go func() {
		defer close(batches)
		for part := range slices.Chunk(files, size) {
			var b batch
			for _, file := range part {
				if ctx.Err() != nil {
					return
				}
				m, err := decode(filepath.Join(folder, filepath.FromSlash(file)), pixels)
				if err != nil {
					b.bad = append(b.bad, fmt.Errorf("%s: %w", file, err))
					continue
				}
				b.files, b.images = append(b.files, file), append(b.images, m)
			}
			select {
			case batches <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	return batches
}

// decode reads one image of pixels x pixels. It checks the size before
// decoding, since a file of a few bytes can claim to be a huge image.
func decode(path string, pixels int) (image.Image, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file (%v)", info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if c.Width != pixels || c.Height != pixels {
		return nil, fmt.Errorf("%dx%d pixels, want %dx%d", c.Width, c.Height, pixels, pixels)
	}
	m, _, err := image.Decode(bytes.NewReader(data))
	return m, err
}
