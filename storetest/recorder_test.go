package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/omnichat/shopifysync"
)

// A recorder stands in for *testing.T: it notes failures instead of failing.
type recorder struct {
	mu       sync.Mutex
	failures []string
}

func (*recorder) Helper()                  {}
func (*recorder) Context() context.Context { return context.Background() }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failuresOf runs one case and returns how it failed.
func failuresOf(tc testCase, s stores) []string {
	var r recorder
	done := make(chan struct{})
	go func() { // for Goexit ends a goroutine
		defer close(done)
		tc.check(&r, s)
	}()
	<-done
	return r.failures
}

func everyFeature() Features {
	return Features{State: true, Connections: true, Finder: true, Sharer: true}
}

func caseNamed(t *testing.T, name string) testCase {
	t.Helper()
	cases := casesFor(everyFeature())
	i := slices.IndexFunc(cases, func(tc testCase) bool { return tc.name == name })
	if i < 0 {
		t.Fatalf("there is no case %q", name)
	}
	return cases[i]
}

// A defect is something wrong with a store, and the case that must notice.
type defect struct {
	name string
	by   string // the case
	says string // a part of its message
	in   func() shopifysync.ContactStore
}

func allDefects() []defect {
	return slices.Concat(contactDefects(), batchDefects(), stateDefects(), dueDefects(), connectionStateDefects(),
		connectionDefects(), finderDefects(), sharerDefects())
}

// TestSuiteCatches runs every defective store through the case meant for it.
// Its clock is synctest's: leases expire at once.
func TestSuiteCatches(t *testing.T) {
	for _, d := range allDefects() {
		t.Run(d.name, func(t *testing.T) {
			tc := caseNamed(t, d.by)
			synctest.Test(t, func(t *testing.T) {
				var failures []string
				for range 8 { // a race may end well, one time in ten or so
					if failures = failuresOf(tc, storesOf(d.in())); len(failures) > 0 {
						break
					}
				}
				if len(failures) == 0 {
					t.Fatalf("case %s did not notice", d.by)
				}
				if !strings.Contains(failures[0], d.says) || !strings.Contains(failures[0], tc.rule) {
					t.Errorf("case %s does not say %q, with the contract, but:\n%s", d.by, d.says, failures[0])
				}
			})
		})
	}
}

// TestSuitePasses runs every case on stores without a defect, to be sure that
// what the defective ones are made of is sound.
func TestSuitePasses(t *testing.T) {
	for name, newStore := range map[string]func() shopifysync.ContactStore{
		"plain":      func() shopifysync.ContactStore { return newPlain(nil) },
		"overridden": func() shopifysync.ContactStore { return override(func(*overridden) {}) },
		"by id": func() shopifysync.ContactStore {
			return byID(func(id shopifysync.ConnectionID) shopifysync.ConnectionID { return id })
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, tc := range casesFor(everyFeature()) {
				for _, failure := range failuresOf(tc, storesOf(newStore())) {
					t.Errorf("%s: case %s: %s", name, tc.name, failure)
				}
			}
		})
	}
}

// TestEveryCaseIsProven fails for a case that no defective store goes with.
func TestEveryCaseIsProven(t *testing.T) {
	proven := make(map[string]bool)
	for _, d := range allDefects() {
		proven[d.by] = true
	}
	names := make(map[string]bool)
	for _, tc := range casesFor(everyFeature()) {
		if names[tc.name] {
			t.Errorf("two cases are called %s", tc.name)
		}
		names[tc.name] = true
		if !proven[tc.name] && tc.name != "Features" { // TestFeatures shows that one
			t.Errorf("no defective store shows that case %s works", tc.name)
		}
	}
}

func TestFeatures(t *testing.T) {
	memory := shopifysync.NewMemoryStore()
	contactsOnly := struct{ shopifysync.ContactStore }{memory} // a decorator that loses all else
	for _, tt := range []struct {
		name     string
		store    shopifysync.ContactStore
		declared Features
		failures int
	}{
		{"all declared, all there", memory, everyFeature(), 0},
		{"none declared, none there", contactsOnly, Features{}, 0},
		{"all declared, none there", contactsOnly, everyFeature(), 4},
		{"none declared, all there", memory, Features{}, 4},
	} {
		if got := failuresOf(featuresCase(tt.declared), storesOf(tt.store)); len(got) != tt.failures {
			t.Errorf("%s: %d failures, want %d: %q", tt.name, len(got), tt.failures, got)
		}
	}
}
