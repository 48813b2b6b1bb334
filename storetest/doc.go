// Package storetest checks a store against the contract of
// [shopifysync.ContactStore], and of [shopifysync.StateStore],
// [shopifysync.ConnectionStore] and [shopifysync.ContactFinder] if it is one
// of those too. It needs the standard library only.
//
// Call [Run] from a test of the package that holds the store:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) shopifysync.ContactStore {
//			return NewStore(emptyDatabase(t))
//		}, storetest.Features{})
//	}
//
// Every case is a subtest with a fresh store, and a case that fails says what
// the contract asks for. What a store must hold is never written down by hand:
// it is what [shopifysync.Apply] says. Run it with -race too: some cases call
// the store from many goroutines at once.
package storetest
