package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/omnichat/shopifysync/internal/integration/dbtest"
)

// The children of this process. Both are measured apart, so that a syncing
// process's memory is its own.
const (
	childShopify  = "shopify"       // the fake Shopify on a loopback port
	childNothing  = "sync-nothing"  // syncs into a store that keeps nothing
	childSQLite   = "sync-sqlite"   // into a SQLite file
	childPostgres = "sync-postgres" // into the server that dbtest.PostgresDSN names
)

// peaks are the most that a syncing process held, in bytes.
type peaks struct{ resident, live int64 }

// measureMemory compares the peak memory of a process that syncs 100,000
// customers with that of one that syncs 1,000,000.
func measureMemory(ctx context.Context) error {
	sizes := []int{100_000}
	if *full {
		sizes = append(sizes, 1_000_000)
	}
	fmt.Printf("Peak memory of a process that does one full run, MiB (median of %d)\n", *rounds)
	fmt.Printf("  %-18s %10s  %10s  %12s\n", "into", "customers", "resident", "live heap")
	kinds := []string{childNothing, childSQLite}
	if os.Getenv(dbtest.PostgresDSN) != "" {
		kinds = append(kinds, childPostgres)
	}
	for _, kind := range kinds {
		var first peaks
		for i, n := range sizes {
			got, err := measurePeaks(ctx, kind, n)
			if err != nil {
				return err
			}
			difference := ""
			if i == 0 {
				first = got
			} else {
				difference = fmt.Sprintf("  %+.1f resident, %+.1f live", mib(got.resident-first.resident), mib(got.live-first.live))
			}
			fmt.Printf("  %-18s %10d  %10.1f  %12.1f%s\n", strings.TrimPrefix(kind, "sync-"), n, mib(got.resident), mib(got.live), difference)
		}
	}
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// measurePeaks has children do the run and returns the median of their peaks.
func measurePeaks(ctx context.Context, kind string, customers int) (peaks, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shopify, err := startChild(ctx, childShopify, "-customers", strconv.Itoa(customers))
	if err != nil {
		return peaks{}, err
	}
	defer shopify.end()
	address, err := shopify.line()
	if err != nil {
		return peaks{}, err
	}
	var resident, live []int64
	for range *rounds {
		syncing, err := startChild(ctx, kind, "-customers", strconv.Itoa(customers), "-endpoint", address)
		if err != nil {
			return peaks{}, err
		}
		var p peaks
		said, err := syncing.line()
		if err == nil {
			_, err = fmt.Sscan(said, &p.resident, &p.live)
		}
		if err := errors.Join(err, syncing.command.Wait()); err != nil {
			return peaks{}, err
		}
		resident, live = append(resident, p.resident), append(live, p.live)
	}
	return peaks{median(resident), median(live)}, nil
}

// A childProcess is this program once more.
type childProcess struct {
	command *exec.Cmd
	output  *bufio.Reader
}

func startChild(ctx context.Context, kind string, args ...string) (*childProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &childProcess{command: exec.CommandContext(ctx, self, append([]string{"-child", kind}, args...)...)}
	c.command.Stderr = os.Stderr
	pipe, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.output = bufio.NewReader(pipe)
	return c, c.command.Start()
}

func (c *childProcess) line() (string, error) {
	line, err := c.output.ReadString('\n')
	return strings.TrimSpace(line), err
}

func (c *childProcess) end() {
	_ = c.command.Process.Kill()
	_ = c.command.Wait()
}
