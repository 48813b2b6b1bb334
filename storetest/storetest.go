package storetest

import (
	"context"
	"slices"
	"testing"

	"github.com/omnichat/shopifysync"
)

// A Factory returns a fresh, empty store. It is called once for every case.
// Clean up with t.Cleanup.
type Factory func(t *testing.T) shopifysync.ContactStore

// Features declare what the store is besides a [shopifysync.ContactStore].
// They must tell the truth: a decorator that loses one of the interfaces is
// noticed, and so is a store that has one which the suite was not told of, for
// the library would use it.
type Features struct {
	State       bool // a shopifysync.StateStore
	Connections bool // a shopifysync.ConnectionStore
	Finder      bool // a shopifysync.ContactFinder
	Sharer      bool // a shopifysync.WhatsAppSharer
}

// Run checks a store, one subtest for every case.
func Run(t *testing.T, newStore Factory, features Features) {
	t.Helper()
	for _, tc := range casesFor(features) {
		t.Run(tc.name, func(t *testing.T) { tc.check(t, storesOf(newStore(t))) })
	}
}

// RunState checks a [shopifysync.StateStore] that keeps no contacts.
func RunState(t *testing.T, newStore func(t *testing.T) shopifysync.StateStore) {
	t.Helper()
	for _, tc := range stateCases() {
		t.Run(tc.name, func(t *testing.T) { tc.check(t, stores{state: newStore(t)}) })
	}
}

// RunConnections checks a [shopifysync.ConnectionStore] that keeps no contacts.
func RunConnections(t *testing.T, newStore func(t *testing.T) shopifysync.ConnectionStore) {
	t.Helper()
	for _, tc := range connectionCases() {
		t.Run(tc.name, func(t *testing.T) { tc.check(t, stores{connections: newStore(t)}) })
	}
}

func casesFor(f Features) []testCase {
	cases := slices.Concat([]testCase{featuresCase(f)}, contactCases())
	if f.State {
		cases = append(cases, stateCases()...)
	}
	if f.Connections {
		cases = append(cases, connectionCases()...)
	}
	if f.Finder {
		cases = append(cases, finderCases()...)
	}
	if f.Sharer {
		cases = append(cases, sharerCases()...)
	}
	return cases
}

func contactCases() []testCase {
	return slices.Concat(versionCases(), contentCases(), maskCases(), whatsAppCases(), batchCases(),
		removalCases(), mergedCases(), listingCases(), tenancyCases(), concurrencyCases(), modelCases())
}

func stateCases() []testCase {
	return slices.Concat(leaseCases(), runCases(), markCases(), dueCases(), connectionStateCases())
}

// stores are the faces of the store under test; those it lacks are nil.
type stores struct {
	contacts    shopifysync.ContactStore
	state       shopifysync.StateStore
	connections shopifysync.ConnectionStore
	finder      shopifysync.ContactFinder
	sharer      shopifysync.WhatsAppSharer
}

func storesOf(s shopifysync.ContactStore) stores {
	all := stores{contacts: s}
	all.state, _ = s.(shopifysync.StateStore)
	all.connections, _ = s.(shopifysync.ConnectionStore)
	all.finder, _ = s.(shopifysync.ContactFinder)
	all.sharer, _ = s.(shopifysync.WhatsAppSharer)
	return all
}

// A testCase is one rule of the contract and the code that checks it.
type testCase struct {
	name string
	rule string // what the contract says; shown when the case fails
	run  func(c *check)
}

// A reporter is the part of *testing.T that cases use. A recorder stands in
// for it where the suite itself is tested.
type reporter interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

func (tc testCase) check(r reporter, s stores) {
	r.Helper()
	tc.run(&check{reporter: r, stores: s, ctx: r.Context(), rule: tc.rule, model: make(model)})
}

func featuresCase(f Features) testCase {
	return testCase{
		name: "Features",
		rule: "Features must say which optional interfaces the store has: the library uses each that it finds.",
		run: func(c *check) {
			for _, feature := range []struct {
				name          string
				declared, has bool
			}{
				{"State: shopifysync.StateStore", f.State, c.state != nil},
				{"Connections: shopifysync.ConnectionStore", f.Connections, c.connections != nil},
				{"Finder: shopifysync.ContactFinder", f.Finder, c.finder != nil},
				{"Sharer: shopifysync.WhatsAppSharer", f.Sharer, c.sharer != nil},
			} {
				if feature.declared != feature.has {
					c.errorf("Features.%s: declared %t, the store has it: %t", feature.name, feature.declared, feature.has)
				}
			}
		},
	}
}
