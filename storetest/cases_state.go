package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
)

// fullState returns a state with every field filled.
func fullState() shopifysync.ConnectionState {
	return shopifysync.ConnectionState{
		Connection:   tenant,
		ShopID:       "gid://shopify/Shop/9007199254740993",
		ConnectedAt:  observedAt(1),
		Disconnected: &shopifysync.Disconnection{At: observedAt(2), Kept: true, EraseBy: observedAt(3)},
		Health: shopifysync.Health{
			State: shopifysync.HealthScopeMissing, Message: "grant read_customers <&> \"稍後再試\"", CheckedAt: observedAt(4),
			Shop: shopifysync.ShopInfo{
				ID: "gid://shopify/Shop/9007199254740993", Name: "小店 \\ Café\n😀", Domain: "my-shop.myshopify.com",
				Plan: "Basic", Plus: true, Test: true, Currency: "TWD", TimeZone: "Asia/Taipei",
			},
			Scopes: []string{"read_orders", "read_all_orders"}, MissingScopes: []string{"read_customers"},
			PersonalData: shopifysync.DataReadable, AskedVersion: "2024-04", ServedVersion: "2025-07",
			Subscriptions: []shopifysync.Subscription{
				{Topic: "customers/update", State: shopifysync.SubscriptionOK},
				{Topic: "customers/merge", State: shopifysync.SubscriptionFailed, Reason: "the address is not https"},
			},
			Warnings: []string{"the version rolled over", ""},
		},
		Pause:    &shopifysync.Pause{State: shopifysync.HealthFrozen, Since: observedAt(5), ProbeAt: observedAt(6)},
		CheckDue: true, CaughtUpTo: observedAt(7), CaughtUpAt: observedAt(8), RunAt: observedAt(9), InStepAsOf: observedAt(10),
		TriedAt: observedAt(11), Customers: 9007199254740993, CountedAt: observedAt(12),
		DataRequests: []shopifysync.OpenDataRequest{{ID: 9007199254740993, At: observedAt(15), Customers: []shopifysync.CustomerID{9007199254740993}}},
		RedactAsked:  observedAt(13), ErasedAt: observedAt(14),
	}
}

// saveState saves a state, which must succeed, and returns it as it is now.
func (c *check) saveState(st shopifysync.ConnectionState) shopifysync.ConnectionState {
	c.Helper()
	result, err := c.state.SaveConnectionState(c.ctx, shopifysync.SaveConnectionStateParams{State: st})
	c.noError("SaveConnectionState", err)
	if result.Revision != st.Revision+1 {
		c.fatalf("SaveConnectionState of revision %d returned the revision %d, want one more", st.Revision, result.Revision)
	}
	st.Revision = result.Revision
	return st
}

func (c *check) savedState(id shopifysync.ConnectionID) shopifysync.ConnectionState {
	c.Helper()
	result, err := c.state.ConnectionState(c.ctx, shopifysync.ConnectionStateParams{Connection: id})
	c.noError("ConnectionState", err)
	return result.State
}

// expectState compares all of what is saved under the state's connection.
func (c *check) expectState(want shopifysync.ConnectionState) {
	c.Helper()
	got := c.savedState(want.Connection)
	if want.Revision != got.Revision {
		c.fatalf("the state of connection %q has the revision %d, want %d", want.Connection, got.Revision, want.Revision)
	}
	if a, b := stateText(want), stateText(got); a != b {
		a, b := excerpt(a, b)
		c.fatalf("the state of connection %q:\n  got %s\n want %s", want.Connection, b, a)
	}
}

// stateText is a text that is the same for the same state: times in UTC and to
// the millisecond, and nothing for a list that is empty.
func stateText(st shopifysync.ConnectionState) string {
	b, err := json.Marshal(plainTimes(reflect.ValueOf(st)).Interface())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// plainTimes returns a deep copy of structs, pointers and lists with every time
// in UTC and to the millisecond.
func plainTimes(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			out.Set(reflect.ValueOf(t.UTC().Truncate(time.Millisecond)))
			break
		}
		for i := range v.NumField() {
			out.Field(i).Set(plainTimes(v.Field(i)))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(plainTimes(v.Elem()))
		}
	case reflect.Slice:
		for i := range v.Len() {
			out = reflect.Append(out, plainTimes(v.Index(i)))
		}
	default:
		out.Set(v)
	}
	return out
}

func connectionStateCases() []testCase {
	return []testCase{
		{
			name: "State/RoundTrip",
			rule: "A connection's state comes back as it was saved, every field of it; if none was saved, with its Connection alone.",
			run: func(c *check) {
				c.expectState(shopifysync.ConnectionState{Connection: tenant})
				c.expectState(c.saveState(fullState()))
			},
		},
		{
			name: "State/Replaced",
			rule: "A save replaces the whole state: what is nil, zero or empty in it is nil, zero or empty again.",
			run: func(c *check) {
				saved := c.saveState(fullState())
				empty := c.saveState(shopifysync.ConnectionState{Connection: tenant, Revision: saved.Revision})
				c.expectState(empty)
				full := fullState()
				full.Revision = empty.Revision
				full.Pause.ProbeAt, full.Disconnected.EraseBy = time.Time{}, time.Time{}
				c.expectState(c.saveState(full))
			},
		},
		{
			name: "State/Revision",
			rule: "Only a state whose Revision is the stored one is saved, 0 if nothing is stored: otherwise the error matches ErrStateConflict, and nothing is stored.",
			run: func(c *check) {
				refused := func(revision int64) {
					c.Helper()
					st := fullState()
					st.Revision, st.ShopID = revision, "refused"
					_, err := c.state.SaveConnectionState(c.ctx, shopifysync.SaveConnectionStateParams{State: st})
					c.errorIs(fmt.Sprintf("SaveConnectionState with the revision %d", revision), err, shopifysync.ErrStateConflict)
				}
				refused(1)
				refused(-1)
				c.expectState(shopifysync.ConnectionState{Connection: tenant})
				saved := shopifysync.ConnectionState{Connection: tenant, ShopID: "saved"}
				for range 3 {
					saved = c.saveState(saved)
					for _, revision := range []int64{0, saved.Revision - 1, saved.Revision + 1} {
						refused(revision)
					}
					c.expectState(saved)
				}
			},
		},
		{
			name: "State/OneWinner",
			rule: "Of all that save a state of the same Revision at once one succeeds; the others' errors match ErrStateConflict.",
			run: func(c *check) {
				const contenders = 32
				st := shopifysync.ConnectionState{Connection: tenant}
				for range 3 { // the first with nothing stored
					var mu sync.Mutex
					var won []int64
					together(contenders, func(i int) {
						mine := st
						mine.Customers = int64(i + 1)
						_, err := c.state.SaveConnectionState(c.ctx, shopifysync.SaveConnectionStateParams{State: mine})
						mu.Lock()
						defer mu.Unlock()
						switch {
						case err == nil:
							won = append(won, mine.Customers)
						case !errors.Is(err, shopifysync.ErrStateConflict):
							c.errorf("SaveConnectionState: got the error %v, want one that matches: %v", err, shopifysync.ErrStateConflict)
						}
					})
					if len(won) != 1 {
						c.fatalf("%d of %d saved the state, want 1", len(won), contenders)
					}
					st.Customers, st.Revision = won[0], st.Revision+1
					c.expectState(st)
				}
			},
		},
		{
			name: "State/LostUpdates",
			rule: "Who reads, changes, saves, and reads again after a conflict, loses no other's change.",
			run: func(c *check) {
				const each = 5
				together(writers, func(int) {
					for range each {
						for saved := false; !saved; {
							read, err := c.state.ConnectionState(c.ctx, shopifysync.ConnectionStateParams{Connection: tenant})
							if err == nil {
								st := read.State
								st.Customers++
								_, err = c.state.SaveConnectionState(c.ctx, shopifysync.SaveConnectionStateParams{State: st})
							}
							saved = err == nil
							if err != nil && !errors.Is(err, shopifysync.ErrStateConflict) {
								c.errorf("changing a state: %v", err)
								return
							}
						}
					}
				})
				if got := c.savedState(tenant); got.Customers != writers*each || got.Revision != writers*each {
					c.fatalf("after %d changes %d are there, at the revision %d", writers*each, got.Customers, got.Revision)
				}
			},
		},
		{
			name: "State/Apart",
			rule: "States belong to their connection.",
			run: func(c *check) {
				ids := append(lookalikeConnections(), tenant)
				state := func(i int) shopifysync.ConnectionState {
					return shopifysync.ConnectionState{Connection: ids[i], Customers: int64(i + 1)}
				}
				for i := range ids {
					c.saveState(state(i))
				}
				for i := range ids {
					want := state(i)
					want.Revision = 1
					c.expectState(want)
				}
				c.expectState(shopifysync.ConnectionState{Connection: "nobody"})
			},
		},
		{
			name: "State/NotShared",
			rule: "A call keeps none of the memory passed in, and returns memory of the caller's own.",
			run: func(c *check) {
				given := fullState()
				saved := c.saveState(given)
				scribbleState(given)
				want := fullState()
				want.Revision = saved.Revision
				c.expectState(want)
				scribbleState(c.savedState(tenant))
				c.expectState(want)
			},
		},
		{
			name: "State/Cancelled",
			rule: "A call whose context has ended returns an error and stores nothing.",
			run: func(c *check) {
				_, err := c.state.SaveConnectionState(c.ended(), shopifysync.SaveConnectionStateParams{State: fullState()})
				c.cancelled("SaveConnectionState", err)
				_, err = c.state.ConnectionState(c.ended(), shopifysync.ConnectionStateParams{Connection: tenant})
				c.cancelled("ConnectionState", err)
				c.expectState(shopifysync.ConnectionState{Connection: tenant})
			},
		},
		{
			name: "Forget/RunsAndMarks",
			rule: "Forgetting a connection deletes all of its runs and marks, and nothing of another connection's.",
			run: func(c *check) {
				ids := append(lookalikeConnections(), tenant)
				run := func(id shopifysync.ConnectionID) shopifysync.Run {
					r := fullRun()
					r.Connection = id
					return r
				}
				for _, id := range ids {
					c.saveRun(c.acquire(id, shopifysync.LeaseRun, longTTL), run(id))
					c.putMarks(id, mark(1), mark(2))
				}
				forgotten := ids[0]
				c.forget(forgotten)
				c.expectRuns(forgotten)
				if got := c.open(forgotten); got != 0 {
					c.fatalf("%d marks are left of a forgotten connection", got)
				}
				if due := c.dueConnections(observedAt(0), 100); slices.Contains(due, forgotten) {
					c.fatalf("a forgotten connection is due")
				}
				for _, id := range ids[1:] {
					c.expectRuns(id, run(id))
					if got := c.open(id); got != 2 {
						c.fatalf("forgetting connection %q left %d marks of connection %q, want 2", forgotten, got, id)
					}
				}
				c.forget(forgotten)
				c.forget("nobody")
			},
		},
		{
			name: "Forget/WhatStays",
			rule: "Forgetting a connection leaves its state and its leases: an epoch never comes twice, and a later mark has none of the generations before.",
			run: func(c *check) {
				saved := c.saveState(fullState())
				drain := c.acquire(tenant, shopifysync.LeaseDrain, longTTL)
				last := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				c.saveRun(last, minimalRun("run-1", 1))
				c.putMarks(tenant, mark(1))
				slow := c.mark(1)
				c.forget(tenant)
				c.expectState(saved)
				c.held(tenant, shopifysync.LeaseDrain)
				c.noError("RenewLease", c.renew(drain, longTTL))
				c.saveRun(last, minimalRun("run-2", 2))
				c.expectRuns(tenant, minimalRun("run-2", 2))
				c.release(last)
				if next := c.acquire(tenant, shopifysync.LeaseRun, longTTL); next.Epoch <= last.Epoch {
					c.fatalf("the epoch went from %d to %d", last.Epoch, next.Epoch)
				}
				c.putMarks(tenant, mark(1))
				if c.clearMarks(tenant, slow) != 0 {
					c.fatalf("a mark put after the forgetting was cleared by the generation of one before")
				}
			},
		},
		{
			name: "Forget/Cancelled",
			rule: "A call whose context has ended returns an error and forgets nothing.",
			run: func(c *check) {
				c.saveRun(c.acquire(tenant, shopifysync.LeaseRun, longTTL), minimalRun("run-1", 1))
				c.putMarks(tenant, mark(1))
				_, err := c.state.ForgetConnection(c.ended(), shopifysync.ForgetConnectionParams{Connection: tenant})
				c.cancelled("ForgetConnection", err)
				c.expectRuns(tenant, minimalRun("run-1", 1))
				if got := c.open(tenant); got != 1 {
					c.fatalf("%d marks are open, want 1", got)
				}
			},
		},
	}
}

func (c *check) forget(id shopifysync.ConnectionID) {
	c.Helper()
	_, err := c.state.ForgetConnection(c.ctx, shopifysync.ForgetConnectionParams{Connection: id})
	c.noError("ForgetConnection", err)
}

func scribbleState(st shopifysync.ConnectionState) {
	for _, texts := range [][]string{st.Health.Scopes, st.Health.MissingScopes, st.Health.Warnings} {
		for i := range texts {
			texts[i] = "scribbled"
		}
	}
	for i := range st.Health.Subscriptions {
		st.Health.Subscriptions[i].Reason = "scribbled"
	}
	if st.Pause != nil {
		st.Pause.State = "scribbled"
	}
	if st.Disconnected != nil {
		st.Disconnected.At = observedAt(999)
	}
}
