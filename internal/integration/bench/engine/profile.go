package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
)

// startProfile records where the processor's time goes, if -profile asks for
// it; stop ends that and writes which code allocated.
func startProfile(what string) (stop func() error, err error) {
	if *profile == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(*profile, 0o755); err != nil {
		return nil, err
	}
	base := filepath.Join(*profile, strings.NewReplacer(" ", "-", ",", "", "%", "percent").Replace(what))
	f, err := os.Create(base + ".cpu.prof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		heap, err := os.Create(base + ".heap.prof")
		if err != nil {
			return errors.Join(err, f.Close())
		}
		return errors.Join(pprof.Lookup("allocs").WriteTo(heap, 0), heap.Close(), f.Close())
	}, nil
}
