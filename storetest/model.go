package storetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/omnichat/shopifysync"
)

// A model is what the store must hold, as Apply has it; nil is a customer of
// whom nothing must be stored.
type model map[shopifysync.ConnectionID]map[shopifysync.CustomerID]*shopifysync.Contact

func (m model) set(id shopifysync.ConnectionID, customer shopifysync.CustomerID, c *shopifysync.Contact) {
	if m[id] == nil {
		m[id] = make(map[shopifysync.CustomerID]*shopifysync.Contact)
	}
	m[id][customer] = c
}

// worlds returns what may be stored after the next call.
func (m model) worlds(id shopifysync.ConnectionID) worlds {
	return worlds{before: m[id], touched: make(map[shopifysync.CustomerID][]*shopifysync.Contact)}
}

// worlds hold, for each customer that a call touches, all that may be stored:
// the version of an unchanged contact may advance or not, and what becomes of
// a second contact of the same customer depends on it.
type worlds struct {
	before  map[shopifysync.CustomerID]*shopifysync.Contact
	touched map[shopifysync.CustomerID][]*shopifysync.Contact
}

// mention makes sure that the customer is compared.
func (w worlds) mention(customer shopifysync.CustomerID) []*shopifysync.Contact {
	if w.touched[customer] == nil {
		w.touched[customer] = []*shopifysync.Contact{w.before[customer]}
	}
	return w.touched[customer]
}

func (w worlds) ids() []shopifysync.CustomerID {
	ids := make([]shopifysync.CustomerID, 0, len(w.touched))
	for id := range w.touched {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// upsert keeps the worlds in which the outcome is the one that came. If there
// is none it returns the outcomes that could have come.
func (w worlds) upsert(in shopifysync.Contact, touch bool, got shopifysync.Outcome) (wanted []shopifysync.Outcome) {
	var next []*shopifysync.Contact
	for _, stored := range w.mention(in.CustomerID) {
		result, outcome := shopifysync.Apply(stored, in)
		if outcome != got {
			wanted = append(wanted, outcome)
			continue
		}
		mayKeep := outcome == shopifysync.Stale || outcome == shopifysync.Unchanged &&
			!touch && in.Version.UpdatedAt.Equal(stored.Version.UpdatedAt)
		if mayKeep {
			next = append(next, stored)
		}
		if outcome != shopifysync.Stale {
			next = append(next, &result)
		}
	}
	if len(next) == 0 {
		return wanted
	}
	w.touched[in.CustomerID] = next
	return nil
}

// remove returns the outcome wanted, and whether the contact was live.
func (w worlds) remove(id shopifysync.ConnectionID, reason shopifysync.RemovalReason, observed time.Time, r shopifysync.Removal) (want shopifysync.Outcome, live bool) {
	stored := w.mention(r.CustomerID)[0]
	if stored == nil && reason == shopifysync.RemovedSkipped {
		return shopifysync.Unchanged, false
	}
	result, outcome := shopifysync.Apply(stored, shopifysync.Contact{
		Connection: id, CustomerID: r.CustomerID,
		Version: shopifysync.Version{ObservedAt: observed},
		Removed: reason, MergedInto: r.MergedInto,
	})
	w.touched[r.CustomerID] = []*shopifysync.Contact{&result}
	return outcome, stored != nil && stored.Removed == ""
}

// SeedVariable is the environment variable that repeats a random case: the
// failing one prints its seed.
const SeedVariable = "STORETEST_SEED"

// seed returns the seed of a random case.
func seed() uint64 {
	if s, err := strconv.ParseUint(os.Getenv(SeedVariable), 10, 64); err == nil {
		return s
	}
	return rand.Uint64()
}

const modelOperations = 2000

func modelCases() []testCase {
	return []testCase{{
		name: "Model/Random",
		rule: "After any sequence of upserts and removals the store holds what Apply says.",
		run: func(c *check) {
			seed := seed()
			c.rule += fmt.Sprintf(" To repeat this very sequence set %s=%d.", SeedVariable, seed)
			r := rand.New(rand.NewPCG(seed, 0))
			for range modelOperations {
				randomOperation(c, r)
			}
			c.verifyAll()
		},
	}}
}

func randomOperation(c *check, r *rand.Rand) {
	c.Helper()
	id := pick[shopifysync.ConnectionID](r, "tenant-1", "tenant-2", "Tenant-1")
	observed := observedAt(r.IntN(40))
	switch n := r.IntN(100); {
	case n < 70:
		contacts := make([]shopifysync.Contact, 1+r.IntN(5))
		for i := range contacts {
			contacts[i] = randomContact(r, id)
		}
		c.batch(id, r.IntN(2) == 0, contacts...)
	case n < 96:
		reasons := []shopifysync.RemovalReason{
			shopifysync.RemovedSkipped, shopifysync.RemovedDisconnected, shopifysync.RemovedDeleted,
			shopifysync.RemovedMerged, shopifysync.RemovedShopRedacted,
		}
		reason := pick(r, reasons...)
		if r.IntN(20) == 0 { // seldom, for it is for ever
			reason = shopifysync.RemovedRedacted
		}
		removals := make([]shopifysync.Removal, 1+r.IntN(3))
		for i := range removals {
			removals[i].CustomerID = randomCustomer(r)
			if reason == shopifysync.RemovedMerged {
				removals[i].MergedInto = randomCustomer(r)
			}
		}
		c.removals(id, reason, observed, removals...)
	case n < 98:
		c.removeAll(id, pick(r, shopifysync.RemovedShopRedacted, shopifysync.RemovedDisconnected), observed)
	default:
		c.verifyAll()
	}
}

func randomCustomer(r *rand.Rand) shopifysync.CustomerID {
	return 9007199254740993 + shopifysync.CustomerID(r.IntN(24)) // above 2^53: neighbours are one float64
}

// randomContact draws from few values, so that much of it happens to be equal.
func randomContact(r *rand.Rand, id shopifysync.ConnectionID) shopifysync.Contact {
	in := shopifysync.Contact{
		Connection: id, CustomerID: randomCustomer(r),
		Version: shopifysync.Version{UpdatedAt: updatedAt(r.IntN(3)), ObservedAt: observedAt(r.IntN(40))},
		Name:    pick(r, "", "Ann", "王小明"),
		Email:   pick(r, "ann@example.com", "Ann@example.com"),
	}
	if r.IntN(3) == 0 {
		in.Phone, in.PhoneSource = "+886912345678", pick(r, shopifysync.PhoneCustomer, shopifysync.PhoneAddress)
	}
	if r.IntN(3) == 0 {
		in.Tags = []string{"VIP", "vip"}[r.IntN(2):]
	}
	if r.IntN(2) == 0 {
		in.Attributes = append(in.Attributes, pick(r,
			shopifysync.NullAttribute(shopifysync.AttrNote),
			shopifysync.TextAttribute(shopifysync.AttrNote, "喜歡咖啡")))
	}
	if r.IntN(2) == 0 {
		in.Attributes = append(in.Attributes, pick(r,
			shopifysync.NullAttribute(shopifysync.AttrOrdersCount),
			shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, "7")))
	}
	if r.IntN(4) == 0 {
		in.WhatsApp = pick(r, &shopifysync.WhatsAppContact{},
			&shopifysync.WhatsAppContact{Account: "wa-1", UserID: "886912345678", Name: "Ann"})
	}
	if r.IntN(3) == 0 {
		in.Masked = pick(r, shopifysync.FieldEmail, shopifysync.FieldNote, shopifysync.FieldTags|shopifysync.FieldName)
	}
	return in
}

func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }
