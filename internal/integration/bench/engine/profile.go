package main

import (
	"errors"
	"log"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
)

// startProfile records where the processor's time goes, if -profile asks for
// it; stop ends that and writes which code allocated so far.
func startProfile(what string) (stop func() error) {
	if *profile == "" {
		return func() error { return nil }
	}
	base := filepath.Join(*profile, strings.NewReplacer(" ", "-", ",", "", "%", "percent").Replace(what))
	f, err := os.Create(base + ".cpu.prof")
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		log.Fatal(err)
	}
	return func() error {
		pprof.StopCPUProfile()
		allocations, err := os.Create(base + ".allocs.prof")
		if err != nil {
			return errors.Join(err, f.Close())
		}
		return errors.Join(pprof.Lookup("allocs").WriteTo(allocations, 0), allocations.Close(), f.Close())
	}
}
