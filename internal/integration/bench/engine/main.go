// Command engine measures full runs: how long the library takes for a store's
// customers once Shopify has their file ready, and how much memory. Everything
// is measured beside a floor in the same run, in rounds; the tables give
// medians, and the medians of the rounds' ratios. Seconds depend on the
// machine; the ratios are what counts.
//
//	go -C internal/integration run ./bench/engine [-customers 100000] [-rounds 3] [-full]
//
// Shopify is the fake one of package shopifytest. How well a paged run uses
// Shopify's budget is not measured here but checked, on a virtual clock, by
// TestPagedRunUsesTheBudget in the root package.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
)

var (
	customers = flag.Int("customers", 100_000, "`number` of customers, at least 1000")
	rounds    = flag.Int("rounds", 3, "how often each thing is measured")
	parts     = flag.String("parts", "decode,runs,memory", "what to measure")
	full      = flag.Bool("full", false, "measure memory with 1,000,000 customers, too: some minutes")
	child     = flag.String("child", "", "for this program itself: be the `part` of a memory measurement")
	endpoint  = flag.String("endpoint", "", "with -child: the `address` of the fake Shopify")
	profile   = flag.String("profile", "", "write CPU and allocation profiles of the runs into this existing `directory`")
)

func main() {
	log.SetFlags(0)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal("engine: ", err)
	}
}

func run(ctx context.Context) error {
	switch {
	case *child != "":
		return beChild(ctx, *child)
	case *customers < 1000 || *rounds < 1:
		return fmt.Errorf("-customers must be at least 1000, -rounds at least 1")
	}
	for part := range strings.SplitSeq(*parts, ",") {
		measure := map[string]func(context.Context) error{"decode": measureDecode, "runs": measureRuns, "memory": measureMemory}[part]
		if measure == nil {
			return fmt.Errorf("-parts: there is no %q", part)
		}
		if err := measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		fmt.Println()
	}
	return nil
}
