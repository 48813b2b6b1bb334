package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
)

// run checks the packages below the folder adminapi against the official
// schemas in the folder schemas and writes one line per version and package,
// followed by its problems. It returns false when there was a problem, an error
// when a file could not be read.
func run(out io.Writer, adminapi, schemas string) (ok bool, err error) {
	packages, err := loadPackages(adminapi)
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(schemas); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(out, "schemacheck: no official schemas at %s; skipped\n", schemas)
		return true, nil
	}
	officials, err := listOfficial(schemas)
	if err != nil {
		return false, err
	}
	reports, err := checkAll(officials, packages)
	if err != nil {
		return false, err
	}

	ok = true
	for _, r := range reports {
		fmt.Fprintln(out, r.summary())
		for _, p := range r.problems {
			fmt.Fprintf(out, "%s %s: %s\n", r.version, r.pkg.name, p)
			ok = false
		}
	}
	for _, pkg := range packages {
		last := lastReport(reports, pkg)
		if last == nil {
			fmt.Fprintf(out, "%s: no official schema from %s on; add admin_%s.json.gz to %s\n",
				pkg.name, pkg.minVersion, pkg.minVersion, schemas)
			ok = false
			continue
		}
		for _, d := range last.deprecated {
			fmt.Fprintf(out, "%s %s: deprecated: %s\n", last.version, pkg.name, d)
		}
	}
	return ok, nil
}

// checkAll reports on every package in every version that has to know it,
// ordered by version. Each official schema is read once, and only as many at a
// time as there are processors: one takes tens of megabytes.
func checkAll(officials []official, packages []apiPackage) ([]report, error) {
	var (
		reports = make([][]report, len(officials))
		errs    = make([]error, len(officials))
		slots   = make(chan struct{}, runtime.GOMAXPROCS(0))
		wg      sync.WaitGroup
	)
	for i, o := range officials {
		served := slices.DeleteFunc(slices.Clone(packages), func(p apiPackage) bool { return p.minVersion > o.version })
		if len(served) == 0 {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			schema, err := o.load()
			if err != nil {
				errs[i] = err
				return
			}
			for _, pkg := range served {
				reports[i] = append(reports[i], check(pkg, o.version, schema))
			}
		})
	}
	wg.Wait()
	return slices.Concat(reports...), errors.Join(errs...)
}

// lastReport is the one on pkg in the latest version, nil if there is none.
func lastReport(reports []report, pkg apiPackage) *report {
	for i := range slices.Backward(reports) {
		if reports[i].pkg.name == pkg.name {
			return &reports[i]
		}
	}
	return nil
}

// summary is one line: 2024-04 adminapi: 14 operations, 47 types ok
func (r report) summary() string {
	verdict := " ok"
	if n := len(r.problems); n > 0 {
		verdict = ", " + count(n, "problem")
	}
	return fmt.Sprintf("%s %s: %s, %s%s", r.version, r.pkg.name,
		count(len(r.pkg.operations), "operation"), count(len(ownTypes(r.pkg.schema)), "type"), verdict)
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
