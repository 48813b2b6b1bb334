package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// The benchmark stands in the root package, whose parts it needs.
const (
	root            = "../.." // from this module
	decodeBenchmark = "BenchmarkDecodeMap"
)

var benchmarkLine = regexp.MustCompile(`(?m)^` + decodeBenchmark + `/(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op.*?\s(\d+) allocs/op`)

// measureDecode compares one core's way from a line of a bulk file to a
// contact with encoding/json's.
func measureDecode(ctx context.Context) error {
	laps := make(map[string][]lap)
	allocations := make(map[string]string)
	for range *rounds {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+decodeBenchmark+"$", "-cpu", "1", ".")
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("go test in %s: %w\n%s", root, err, bytes.TrimSpace(out))
		}
		for _, m := range benchmarkLine.FindAllStringSubmatch(string(out), -1) {
			ns, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return err
			}
			laps[m[1]] = append(laps[m[1]], lap{wall: time.Duration(ns)})
			allocations[m[1]] = m[3]
		}
	}
	library, peer := laps["library"], laps["encoding-json"]
	if len(library) != *rounds || len(peer) != *rounds {
		return fmt.Errorf("%s did not print what it used to", decodeBenchmark)
	}
	fmt.Printf("From a line of a bulk file to a contact, one core, %d rounds\n", *rounds)
	line := func(what, name string, ratio float64) {
		fmt.Printf("  %-28s %8.2f µs  %3s allocations  %5.2f x\n", what, 1e6*medianOf(laps[name], wall), allocations[name], ratio)
	}
	line("encoding/json, same mapping", "encoding-json", 1)
	line("the library", "library", medianRatio(library, peer, wall))
	return nil
}
