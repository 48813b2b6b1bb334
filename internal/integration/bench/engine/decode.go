package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// The benchmark stands in the root package, whose parts it needs.
const (
	root            = "../.." // from this module
	decodeBenchmark = "BenchmarkDecodeMap"
	// shortRounds are how many short runs of the benchmark make a round: the
	// shorter, the more alike is the load under which its two halves run.
	shortRounds = 5
)

var benchmarkLine = regexp.MustCompile(`(?m)^` + decodeBenchmark + `/(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op.*?\s(\d+) allocs/op`)

// measureDecode compares one core's way from a line of a bulk file to a
// contact with encoding/json's.
func measureDecode(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tests := filepath.Join(dir, "root.test")
	if _, err := inRoot(ctx, "go", "test", "-c", "-o", tests, "."); err != nil {
		return err
	}
	laps := make(map[string][]lap)
	allocations := make(map[string]string)
	for range *rounds * shortRounds {
		out, err := inRoot(ctx, tests, "-test.run", "^$", "-test.bench", "^"+decodeBenchmark+"$", "-test.benchtime", "300ms", "-test.cpu", "1")
		if err != nil {
			return err
		}
		for _, m := range benchmarkLine.FindAllStringSubmatch(out, -1) {
			ns, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return err
			}
			laps[m[1]] = append(laps[m[1]], lap{wall: time.Duration(ns)})
			allocations[m[1]] = m[3]
		}
	}
	library, peer := laps["library"], laps["encoding-json"]
	if len(library) != *rounds*shortRounds || len(peer) != len(library) {
		return fmt.Errorf("%s did not print what it used to", decodeBenchmark)
	}
	fmt.Printf("From a line of a bulk file to a contact, one core (medians of %d runs)\n", len(library))
	line := func(what, name string, ratio float64) {
		fmt.Printf("  %-31s %8.2f µs  %3s allocations  %5.2f x\n", what, 1e6*medianOf(laps[name], wall), allocations[name], ratio)
	}
	line("encoding/json, the same mapping", "encoding-json", 1)
	line("the library", "library", medianRatio(library, peer, wall))
	return nil
}

// inRoot runs a command in the root module and returns what it printed.
func inRoot(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s in %s: %w\n%s", filepath.Base(name), root, err, bytes.TrimSpace(out))
	}
	return string(out), err
}
