package shopifysync

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var applyEpoch = time.Date(2024, time.May, 1, 10, 0, 0, 0, time.UTC)

// applyVersion is a version in seconds; 0 is the zero time.
func applyVersion(updated, observed int) Version {
	at := func(n int) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return applyEpoch.Add(time.Duration(n) * time.Second)
	}
	return Version{UpdatedAt: at(updated), ObservedAt: at(observed)}
}

func live(name string, updated, observed int) Contact {
	return Contact{Connection: "c", CustomerID: 1, Name: name, Version: applyVersion(updated, observed)}
}

func masked(c Contact, fields FieldSet) Contact {
	c.Masked = fields
	return c
}

func mergedLive(into CustomerID) Contact {
	c := live("a", 1, 1)
	c.MergedInto = into
	return c
}

func grave(reason RemovalReason, updated, observed int) Contact {
	return Contact{Connection: "c", CustomerID: 1, Removed: reason, Version: applyVersion(updated, observed)}
}

func mergedGrave(into CustomerID, updated, observed int) Contact {
	c := grave(RemovedMerged, updated, observed)
	c.MergedInto = into
	return c
}

func fullContact(updated, observed int) Contact {
	c := live("王小明", updated, observed)
	c.FirstName, c.LastName = "小明", "王"
	c.Email, c.Phone, c.PhoneSource = "ming@example.com", "+886912345678", PhoneCustomer
	c.Tags = []string{"VIP", "會員"}
	c.Attributes = []Attribute{
		TextAttribute("custom", "text"),
		ConsentAttribute(AttrEmailConsent, Consent{State: ConsentSubscribed, UpdatedAt: applyEpoch, Address: "ming@example.com"}),
		TextAttribute(AttrNote, "喜歡咖啡"),
		NumberAttribute(AttrOrdersCount, "7"),
		ConsentAttribute(AttrSMSConsent, Consent{State: ConsentPending}),
		MoneyAttribute(AttrTotalSpent, Money{Amount: "11884.90", Currency: "TWD"}),
	}
	c.WhatsApp = &WhatsAppContact{Account: "wa", UserID: "886912345678", Name: "王小明"}
	return c
}

func TestApplyBranches(t *testing.T) {
	tests := []struct {
		name    string
		stored  *Contact
		in      Contact
		want    Contact
		outcome Outcome
	}{
		{"never seen", nil, fullContact(1, 1), fullContact(1, 1), Created},
		{"newer updatedAt, other content", new(live("a", 1, 1)), live("b", 2, 2), live("b", 2, 2), Updated},
		{"newer updatedAt, observed earlier", new(live("a", 1, 5)), live("b", 2, 2), live("b", 2, 2), Updated},
		{"newer updatedAt, same content", new(live("a", 1, 1)), live("a", 2, 2), live("a", 2, 2), Unchanged},
		{"newer observed-at, other content", new(live("a", 1, 1)), live("b", 1, 2), live("b", 1, 2), Updated},
		{"newer observed-at, same content", new(live("a", 1, 1)), live("a", 1, 2), live("a", 1, 2), Unchanged},
		{"same version, same content", new(live("a", 1, 1)), live("a", 1, 1), live("a", 1, 1), Unchanged},
		{"same version, other content", new(live("a", 1, 1)), live("b", 1, 1), live("a", 1, 1), Stale},
		{"older observed-at, other content", new(live("a", 1, 2)), live("b", 1, 1), live("a", 1, 2), Stale},
		{"older observed-at, same content", new(live("a", 1, 2)), live("a", 1, 1), live("a", 1, 2), Stale},
		{"older updatedAt, observed later", new(live("a", 2, 1)), live("b", 1, 9), live("a", 2, 1), Stale},

		{"tombstone, observed later", new(grave(RemovedDeleted, 5, 2)), live("a", 1, 3), live("a", 1, 3), Created},
		{"tombstone, observed at the same time", new(grave(RemovedDeleted, 1, 2)), live("a", 9, 2), grave(RemovedDeleted, 1, 2), Stale},
		{"tombstone, observed earlier", new(grave(RemovedDeleted, 1, 2)), live("a", 9, 1), grave(RemovedDeleted, 1, 2), Stale},
		{"shop redacted, observed later", new(grave(RemovedShopRedacted, 1, 2)), live("a", 1, 3), live("a", 1, 3), Created},
		{"merged, observed later", new(mergedGrave(7, 1, 2)), live("a", 1, 3), live("a", 1, 3), Created},
		{"tombstone, observed later, masked", new(grave(RemovedDeleted, 1, 2)), masked(live("", 1, 3), FieldEmail), masked(live("", 1, 3), FieldEmail), Created},
		{"redacted, observed later", new(grave(RemovedRedacted, 1, 2)), live("a", 9, 9), grave(RemovedRedacted, 1, 2), Stale},

		{"observation that wrongly names a survivor", nil, mergedLive(7), live("a", 1, 1), Created},

		{"removal of one never seen", nil, grave(RemovedDeleted, 0, 2), grave(RemovedDeleted, 0, 2), Removed},
		{"merge of one never seen", nil, mergedGrave(7, 0, 2), mergedGrave(7, 0, 2), Removed},
		{"removal", new(fullContact(1, 1)), grave(RemovedDeleted, 0, 2), grave(RemovedDeleted, 1, 2), Removed},
		{"removal that knows a newer updatedAt", new(fullContact(1, 1)), grave(RemovedDeleted, 3, 2), grave(RemovedDeleted, 3, 2), Removed},
		{"removal at the same time", new(fullContact(1, 2)), grave(RemovedDeleted, 0, 2), grave(RemovedDeleted, 1, 2), Removed},
		{"outdated removal", new(fullContact(1, 3)), grave(RemovedDeleted, 0, 2), fullContact(1, 3), Stale},
		{"outdated merge", new(fullContact(1, 3)), mergedGrave(7, 0, 2), fullContact(1, 3), Stale},

		{"redaction of one never seen", nil, grave(RemovedRedacted, 0, 2), grave(RemovedRedacted, 0, 2), Removed},
		{"redaction", new(fullContact(1, 1)), grave(RemovedRedacted, 0, 2), grave(RemovedRedacted, 1, 2), Removed},
		{"outdated redaction", new(fullContact(1, 3)), grave(RemovedRedacted, 0, 2), grave(RemovedRedacted, 1, 3), Removed},
		{"redaction of a tombstone", new(mergedGrave(7, 1, 1)), grave(RemovedRedacted, 0, 2), grave(RemovedRedacted, 1, 2), Unchanged},
		{"outdated redaction of a tombstone", new(mergedGrave(7, 1, 3)), grave(RemovedRedacted, 0, 2), grave(RemovedRedacted, 1, 3), Unchanged},
		{"later removal of a redacted one", new(grave(RemovedRedacted, 1, 1)), mergedGrave(7, 0, 2), grave(RemovedRedacted, 1, 2), Unchanged},
		{"earlier removal of a redacted one", new(grave(RemovedRedacted, 1, 3)), mergedGrave(7, 0, 2), grave(RemovedRedacted, 1, 3), Unchanged},

		{"later removal of a tombstone", new(mergedGrave(7, 1, 1)), grave(RemovedSkipped, 0, 2), grave(RemovedSkipped, 1, 2), Unchanged},
		{"earlier removal of a tombstone", new(grave(RemovedSkipped, 1, 3)), mergedGrave(7, 0, 2), grave(RemovedSkipped, 1, 3), Unchanged},
		{"removal of a tombstone of that time, higher reason", new(grave(RemovedSkipped, 1, 2)), grave(RemovedDeleted, 0, 2), grave(RemovedDeleted, 1, 2), Unchanged},
		{"removal of a tombstone of that time, lower reason", new(grave(RemovedDeleted, 1, 2)), grave(RemovedSkipped, 0, 2), grave(RemovedDeleted, 1, 2), Unchanged},
		{"merges of one time, higher survivor", new(mergedGrave(7, 1, 2)), mergedGrave(8, 0, 2), mergedGrave(8, 1, 2), Unchanged},
		{"merges of one time, lower survivor", new(mergedGrave(8, 1, 2)), mergedGrave(7, 0, 2), mergedGrave(8, 1, 2), Unchanged},
		{"removal of a tombstone that knows a newer updatedAt", new(grave(RemovedDeleted, 1, 3)), grave(RemovedDeleted, 5, 2), grave(RemovedDeleted, 5, 3), Unchanged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before *Contact
			if tt.stored != nil {
				before = new(cloneContact(*tt.stored))
			}
			got, outcome := Apply(tt.stored, tt.in)
			if outcome != tt.outcome {
				t.Errorf("outcome %q, want %q", outcome, tt.outcome)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("stored (-want +got):\n%s", d)
			}
			if d := cmp.Diff(before, tt.stored); d != "" {
				t.Errorf("Apply changed what was stored (-before +after):\n%s", d)
			}
		})
	}
}

func TestApplyReasonsRank(t *testing.T) {
	ranked := []RemovalReason{
		RemovedSkipped, RemovedDisconnected, RemovedDeleted, RemovedMerged, RemovedShopRedacted, RemovedRedacted,
	}
	for i, a := range ranked {
		for j, b := range ranked {
			got, _ := Apply(new(grave(a, 1, 1)), grave(b, 1, 1))
			if want := ranked[max(i, j)]; got.Removed != want {
				t.Errorf("%q, then %q at the same time: got %q, want %q", a, b, got.Removed, want)
			}
		}
	}
}

// TestApplyEveryFieldCounts fails for a new field of Contact until it is told
// here how to change it, and Apply to compare it.
func TestApplyEveryFieldCounts(t *testing.T) {
	changes := map[string]func(*Contact){
		"Name":        func(c *Contact) { c.Name = "" },
		"FirstName":   func(c *Contact) { c.FirstName = "" },
		"LastName":    func(c *Contact) { c.LastName = "" },
		"Email":       func(c *Contact) { c.Email = "Ming@example.com" },
		"Phone":       func(c *Contact) { c.Phone = "" },
		"PhoneSource": func(c *Contact) { c.PhoneSource = PhoneAddress },
		"Tags":        func(c *Contact) { c.Tags = c.Tags[:1] },
		"Attributes":  func(c *Contact) { c.Attributes[1].Consent.UpdatedAt = applyEpoch.Add(time.Millisecond) },
		"WhatsApp":    func(c *Contact) { c.WhatsApp.Name = "" },
	}
	key := []string{"Connection", "CustomerID", "Version", "Masked", "Removed", "MergedInto"}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Contact]()) {
		if slices.Contains(key, field.Name) {
			continue
		}
		change := changes[field.Name]
		if change == nil {
			t.Errorf("no change of %s is tested", field.Name)
			continue
		}
		in := fullContact(1, 2)
		change(&in)
		if _, outcome := Apply(new(fullContact(1, 1)), in); outcome != Updated {
			t.Errorf("a change of %s is %q, want updated", field.Name, outcome)
		}
	}
}

func TestApplyMasks(t *testing.T) {
	all := allFields
	in := live("other", 2, 2)
	in.FirstName, in.LastName, in.Email, in.Phone, in.PhoneSource = "other", "other", "other", "other", PhoneAddress
	in.Tags = []string{"other"}
	for _, a := range fullContact(1, 1).Attributes {
		if a.Key != "custom" {
			in.Attributes = append(in.Attributes, NullAttribute(a.Key))
		}
	}
	in.Masked = all

	got, outcome := Apply(new(fullContact(1, 1)), in)
	if d := cmp.Diff(fullContact(2, 2), got); d != "" || outcome != Unchanged {
		t.Errorf("everything masked: %q, want unchanged; stored (-want +got):\n%s", outcome, d)
	}

	// Masked in a store are the fields never seen so far: it shrinks only.
	unseen := live("a", 1, 1)
	unseen.Masked = FieldEmail | FieldNote
	seen := live("a", 1, 2)
	seen.Masked = FieldNote | FieldPhone
	got, outcome = Apply(&unseen, seen)
	if got.Masked != FieldNote || outcome != Updated {
		t.Errorf("e-mail seen for the first time: masked %q, %q; want note, updated", got.Masked, outcome)
	}
	got, _ = Apply(nil, in)
	want := live("", 2, 2)
	want.Masked = all
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("everything masked of one never seen (-want +got):\n%s", d)
	}
}

// TestApplyMaskedConsentAddress: a consent that was seen is stored, with the
// address stored before while the address itself is masked.
func TestApplyMaskedConsentAddress(t *testing.T) {
	consents := func(state ConsentState, email, phone string) []Attribute {
		return []Attribute{
			ConsentAttribute(AttrEmailConsent, Consent{State: state, Address: email}),
			ConsentAttribute(AttrSMSConsent, Consent{State: state, Address: phone}),
		}
	}
	stored := live("a", 1, 1)
	stored.Attributes = consents(ConsentPending, "a@example.com", "+1")
	for _, tt := range []struct {
		name         string
		stored       *Contact
		mask         FieldSet
		email, phone string
	}{
		{"seen", &stored, 0, "", ""},
		{"e-mail masked", &stored, FieldEmail, "a@example.com", ""},
		{"phone masked", &stored, FieldPhone, "", "+1"},
		{"both masked", &stored, FieldEmail | FieldPhone, "a@example.com", "+1"},
		{"both masked, never seen", nil, FieldEmail | FieldPhone, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := masked(live("a", 2, 2), tt.mask)
			in.Attributes = consents(ConsentSubscribed, "", "")
			got, _ := Apply(tt.stored, in)
			if d := cmp.Diff(consents(ConsentSubscribed, tt.email, tt.phone), got.Attributes); d != "" {
				t.Errorf("attributes (-want +got):\n%s", d)
			}
			if in.Attributes[0].Consent.Address != "" {
				t.Error("Apply changed what came in")
			}
		})
	}
}

// A number in national format, seen without the address that told its country,
// is the one stored if it can be: it neither changes the phone nor ends the
// WhatsApp link. Another number does both.
func TestApplyNationalPhone(t *testing.T) {
	stored := fullContact(1, 1) // +886912345678, linked
	stored.Attributes = []Attribute{ConsentAttribute(AttrSMSConsent, Consent{State: ConsentSubscribed, Address: stored.Phone})}
	observe := func(phone string, masked FieldSet) Contact {
		c := fullContact(2, 2)
		c.Phone, c.Masked, c.WhatsApp = phone, masked, nil
		c.Attributes = []Attribute{ConsentAttribute(AttrSMSConsent, Consent{State: ConsentSubscribed, Address: phone})}
		return c
	}
	for _, tt := range []struct {
		name   string
		phone  string
		masked FieldSet
		kept   bool
	}{
		{"the same, in national format", "0912-345-678", FieldAddress, true},
		{"without the trunk zero", "912 345 678", FieldAddress | FieldTags, true},
		{"full-width", "０９１２３４５６７８", FieldAddress, true},
		{"with the country's digits", "886912345678", FieldAddress, true},
		{"another", "0922222222", FieldAddress, false},
		{"too short to tell", "678", FieldAddress, false},
		{"no number", "call my son", FieldAddress, false},
		{"none", "", FieldAddress, false},
		{"another, in full", "+85212345678", FieldAddress, false},
		{"the address is seen", "0912-345-678", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := observe(tt.phone, tt.masked)
			if tt.phone == "" {
				in.PhoneSource = PhoneNone
			}
			if tt.phone == "" || tt.masked == 0 {
				in.WhatsApp = &WhatsAppContact{}
			}
			got, _ := Apply(&stored, in)
			want := tt.phone
			if tt.kept {
				want = stored.Phone
			}
			if consent := got.Attributes[0].Consent; got.Phone != want || consent.Address != want || got.Masked != 0 {
				t.Errorf("phone %q, consent %+v, masked %v; want %q", got.Phone, consent, got.Masked, want)
			}
			if linked := got.WhatsApp != nil; linked != tt.kept && tt.phone != "+85212345678" {
				t.Errorf("linked %+v", got.WhatsApp)
			}
		})
	}
	// Somebody new shows the number as it is.
	got, _ := Apply(nil, observe("0912-345-678", FieldAddress))
	if got.Phone != "0912-345-678" || got.Masked != FieldAddress || got.WhatsApp != nil {
		t.Errorf("%+v", got)
	}
}

func TestApplyAttributes(t *testing.T) {
	stored := live("a", 1, 1)
	stored.Attributes = []Attribute{NumberAttribute("a", "1"), NumberAttribute("b", "1"), NumberAttribute("d", "1")}
	in := live("a", 1, 2)
	in.Attributes = []Attribute{NumberAttribute("c", "2"), NullAttribute("b"), NullAttribute("e"), NumberAttribute("a", "2")}
	got, outcome := Apply(&stored, in)
	want := []Attribute{NumberAttribute("a", "2"), NumberAttribute("c", "2"), NumberAttribute("d", "1")}
	if d := cmp.Diff(want, got.Attributes); d != "" || outcome != Updated {
		t.Errorf("%q, want updated; attributes (-want +got):\n%s", outcome, d)
	}
}

func TestApplyWhatsApp(t *testing.T) {
	link := func(user string) *WhatsAppContact { return &WhatsAppContact{Account: "wa", UserID: user} }
	named := &WhatsAppContact{Account: "wa", UserID: "1", Name: "Ann"}
	tests := []struct {
		name       string
		stored, in *WhatsAppContact
		want       *WhatsAppContact
		outcome    Outcome
		mask       FieldSet
	}{
		{"untouched", link("1"), nil, link("1"), Unchanged, 0},
		{"none", nil, nil, nil, Unchanged, 0},
		{"linked", nil, link("1"), link("1"), Updated, 0},
		{"linked again", link("1"), link("1"), link("1"), Unchanged, 0},
		{"linked to another", link("1"), link("2"), link("2"), Updated, 0},
		{"unlinked", link("1"), link(""), nil, Updated, 0},
		{"nothing to unlink", nil, link(""), nil, Unchanged, 0},
		{"renamed", link("1"), named, named, Updated, 0},
		{"name seen and empty", named, link("1"), link("1"), Updated, 0},
		{"name masked", named, link("1"), named, Unchanged, FieldName},
		{"name masked, linked to another", named, link("2"), &WhatsAppContact{Account: "wa", UserID: "2", Name: "Ann"}, Updated, FieldName},
		{"name masked, unlinked", named, link(""), nil, Updated, FieldName},
		{"name masked, never linked", nil, link("1"), link("1"), Updated, FieldName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stored, in := live("a", 1, 1), live("a", 1, 2)
			stored.WhatsApp, in.WhatsApp = tt.stored, tt.in
			in.Masked = tt.mask
			got, outcome := Apply(&stored, in)
			if d := cmp.Diff(tt.want, got.WhatsApp); d != "" || outcome != tt.outcome {
				t.Errorf("%q, want %q; WhatsApp (-want +got):\n%s", outcome, tt.outcome, d)
			}
		})
	}
}

// random returns a source for a property test. The seed is printed when the
// test fails, and APPLY_SEED repeats it.
func random(t *testing.T) *rand.Rand {
	seed, err := strconv.ParseUint(os.Getenv("APPLY_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("to repeat: APPLY_SEED=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

func choose[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// permute yields every order of the contacts.
func permute(contacts []Contact) iter.Seq[[]Contact] {
	return func(yield func([]Contact) bool) {
		order := slices.Clone(contacts)
		var from func(i int) bool
		from = func(i int) bool {
			if i == len(order) {
				return yield(order)
			}
			for j := i; j < len(order); j++ {
				order[i], order[j] = order[j], order[i]
				ok := from(i + 1)
				order[i], order[j] = order[j], order[i]
				if !ok {
					return false
				}
			}
			return true
		}
		from(0)
	}
}

// applyAll applies the contacts one after the other, as a store does that
// stores whatever is not stale.
func applyAll(contacts ...[]Contact) *Contact {
	var stored *Contact
	for _, in := range slices.Concat(contacts...) {
		if next, outcome := Apply(stored, in); outcome != Stale {
			stored = &next
		}
	}
	return stored
}

// doubled gives every contact twice in a row.
func doubled(contacts []Contact) []Contact {
	var twice []Contact
	for _, c := range contacts {
		twice = append(twice, c, c)
	}
	return twice
}

// endsAlike checks that the contacts end as wanted in every order: each once,
// each twice in a row, and all of them again afterwards.
func endsAlike(t *testing.T, contacts []Contact, want Contact) {
	t.Helper()
	for order := range permute(contacts) {
		for name, sequence := range map[string][]Contact{
			"once": order, "doubled": doubled(order), "repeated": slices.Concat(order, order),
		} {
			if d := cmp.Diff(want, *applyAll(sequence)); d != "" {
				t.Fatalf("%s:%s\nended (-want +got):\n%s", name, writeOut(sequence), d)
			}
		}
	}
}

func writeOut(contacts []Contact) string {
	var text string
	for _, c := range contacts {
		text += fmt.Sprintf("\n  updated %v, observed %v: %q removed %q %v masked %q",
			c.Version.UpdatedAt.Sub(applyEpoch), c.Version.ObservedAt.Sub(applyEpoch), c.Name, c.Removed, c.Attributes, c.Masked)
	}
	return text
}

// randomObservation lists every attribute and says whether there is a WhatsApp
// contact, as a mapper does, so that it is the whole truth about the customer.
func randomObservation(r *rand.Rand, v Version) Contact {
	c := Contact{Connection: "c", CustomerID: 1, Version: v}
	c.Name = choose(r, "", "a", "b")
	c.Email = choose(r, "", "a@example.com")
	c.Phone, c.PhoneSource = choose(r, "", "+1"), choose(r, PhoneNone, PhoneCustomer)
	c.Tags = choose(r, nil, []string{"x"}, []string{"x", "y"})
	c.Attributes = []Attribute{
		choose(r, NullAttribute(AttrNote), TextAttribute(AttrNote, "note")),
		choose(r, NullAttribute(AttrOrdersCount), NumberAttribute(AttrOrdersCount, "1"), NumberAttribute(AttrOrdersCount, "2")),
	}
	c.WhatsApp = choose(r, &WhatsAppContact{}, &WhatsAppContact{Account: "wa", UserID: "1"})
	return c
}

func TestApplyNewerWinsInEveryOrder(t *testing.T) {
	r := random(t)
	for range 60 {
		versions := make(map[Version]bool)
		for range 1 + r.IntN(6) {
			versions[applyVersion(1+r.IntN(3), 1+r.IntN(4))] = true
		}
		mask := choose(r, 0, FieldEmail, FieldNote|FieldTags)
		var contacts []Contact
		for v := range versions {
			c := randomObservation(r, v)
			c.Masked = mask
			contacts = append(contacts, c)
		}
		newest := slices.MaxFunc(contacts, func(a, b Contact) int { return a.Version.Compare(b.Version) })
		want, _ := Apply(nil, newest)
		endsAlike(t, contacts, want)
	}
}

func TestApplyRemovalsInEveryOrder(t *testing.T) {
	r := random(t)
	for range 60 {
		// A customer's life: each moment is either an observation of it, whose
		// updatedAt never goes back, or a removal.
		var life []Contact
		updated := 1
		for moment := range 1 + r.IntN(6) {
			v := applyVersion(updated, 10+moment)
			if r.IntN(3) > 0 {
				life = append(life, randomObservation(r, v))
				updated += r.IntN(2)
				continue
			}
			c := Contact{Connection: "c", CustomerID: 1, Version: Version{ObservedAt: v.ObservedAt}}
			c.Removed = choose(r, RemovedSkipped, RemovedDisconnected, RemovedDeleted, RemovedMerged, RemovedShopRedacted)
			if c.Removed == RemovedMerged {
				c.MergedInto = CustomerID(2 + r.IntN(2))
			}
			life = append(life, c)
			updated += r.IntN(2)
		}
		last := life[len(life)-1]
		want, _ := Apply(nil, last)
		if want.Removed == "" {
			endsAlike(t, life, want)
			continue
		}
		// Which updatedAt a tombstone keeps depends on what came before it, and
		// nothing depends on that.
		for order := range permute(life) {
			for _, sequence := range [][]Contact{order, doubled(order)} {
				got := *applyAll(sequence)
				got.Version.UpdatedAt = want.Version.UpdatedAt
				if d := cmp.Diff(want, got); d != "" {
					t.Fatalf("%s\nended (-want +got):\n%s", writeOut(sequence), d)
				}
			}
		}
	}
}

func TestApplyRedactedNeverReturns(t *testing.T) {
	r := random(t)
	for range 60 {
		contacts := []Contact{grave(RemovedRedacted, 0, 1+r.IntN(9))}
		for range r.IntN(5) {
			if r.IntN(3) > 0 {
				contacts = append(contacts, randomObservation(r, applyVersion(1+r.IntN(3), 1+r.IntN(9))))
			} else {
				contacts = append(contacts, grave(choose(r, RemovedDeleted, RemovedShopRedacted), 0, 1+r.IntN(9)))
			}
		}
		for order := range permute(contacts) {
			var stored *Contact
			redacted := false
			for _, in := range order {
				next, outcome := Apply(stored, in)
				if outcome != Stale {
					stored = &next
				}
				redacted = redacted || in.Removed == RemovedRedacted
				if redacted && stored.Removed != RemovedRedacted {
					t.Fatalf("%s\nended as %+v", writeOut(order), *stored)
				}
			}
		}
	}
}

// TestApplyMaskedNeverClears lets masks and the attributes listed differ, and
// checks every step of every order.
func TestApplyMaskedNeverClears(t *testing.T) {
	r := random(t)
	for range 100 {
		contacts := make([]Contact, 1+r.IntN(5))
		for i := range contacts {
			c := randomObservation(r, applyVersion(1+r.IntN(3), 1+r.IntN(5)))
			c.Masked = FieldSet(r.Uint32()) & allFields
			c.Attributes = c.Attributes[r.IntN(len(c.Attributes)+1):]
			contacts[i] = c
		}
		for order := range permute(contacts) {
			var stored *Contact
			for _, in := range order {
				base := Contact{Masked: in.Masked}
				if stored != nil {
					base = *stored
				}
				next, outcome := Apply(stored, in)
				if outcome == Stale {
					continue
				}
				checkMerged(t, base, in, next)
				stored = &next
			}
		}
	}
}

// checkMerged checks, field by field, that what was masked or not listed is as
// before and all else as it came.
func checkMerged(t *testing.T, base, in, got Contact) {
	t.Helper()
	from := func(field FieldSet) Contact {
		if in.Masked.Has(field) {
			return base
		}
		return in
	}
	want := map[string][2]any{
		"name":  {from(FieldName).Name, got.Name},
		"email": {from(FieldEmail).Email, got.Email},
		"phone": {
			[2]any{from(FieldPhone).Phone, from(FieldPhone).PhoneSource}, [2]any{got.Phone, got.PhoneSource},
		},
		"masked": {base.Masked & in.Masked, got.Masked},
	}
	for name, pair := range want {
		if pair[0] != pair[1] {
			t.Fatalf("%s: got %v, want %v\nbase %+v\nin %+v", name, pair[1], pair[0], base, in)
		}
	}
	if tags := from(FieldTags).Tags; !slices.Equal(got.Tags, tags) {
		t.Fatalf("tags: got %q, want %q", got.Tags, tags)
	}
	find := func(attributes []Attribute, key AttributeKey) (Attribute, bool) {
		i := slices.IndexFunc(attributes, func(a Attribute) bool { return a.Key == key })
		if i < 0 {
			return Attribute{}, false
		}
		return attributes[i], true
	}
	for key, field := range map[AttributeKey]FieldSet{AttrNote: FieldNote, AttrOrdersCount: FieldOrders} {
		wanted, present := find(base.Attributes, key)
		if a, listed := find(in.Attributes, key); listed && !in.Masked.Has(field) {
			wanted, present = a, a.Kind != KindNull
		}
		if a, found := find(got.Attributes, key); found != present || found && !a.Equal(wanted) {
			t.Fatalf("%s: got %+v (%t), want %+v (%t)\nbase %+v\nin %+v", key, a, found, wanted, present, base, in)
		}
	}
}

func TestApplyIsIdempotent(t *testing.T) {
	r := random(t)
	for range 2000 {
		first := randomObservation(r, applyVersion(1+r.IntN(3), 1+r.IntN(3)))
		stored, _ := Apply(nil, first)
		in := randomObservation(r, applyVersion(1+r.IntN(3), 1+r.IntN(3)))
		if r.IntN(3) == 0 {
			in = grave(choose(r, RemovedDeleted, RemovedMerged, RemovedRedacted), 0, 1+r.IntN(3))
		}
		once, outcome := Apply(&stored, in)
		again, outcomeAgain := Apply(&once, in)
		if d := cmp.Diff(once, again); d != "" {
			t.Fatalf("applied once and twice (-once +twice):\n%s", d)
		}
		want := Unchanged
		if outcome == Stale {
			want = Stale
		}
		if outcomeAgain != want {
			t.Fatalf("%q at first, %q the second time; want %q", outcome, outcomeAgain, want)
		}
	}
}

func TestApplySharesNoMemory(t *testing.T) {
	unseen := masked(fullContact(2, 2), FieldTags|FieldNote)
	unseen.WhatsApp, unseen.Attributes = nil, nil
	for name, tt := range map[string]struct {
		stored *Contact
		in     Contact
	}{
		"created":        {nil, fullContact(1, 1)},
		"unchanged":      {new(fullContact(1, 1)), fullContact(2, 2)},
		"masked":         {new(fullContact(1, 1)), unseen},
		"removed":        {new(fullContact(1, 1)), grave(RemovedDeleted, 0, 2)},
		"back to life":   {new(grave(RemovedDeleted, 0, 1)), fullContact(2, 2)},
		"removed, never": {nil, grave(RemovedDeleted, 0, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := Apply(tt.stored, tt.in)
			memory := addresses(reflect.ValueOf(tt.in))
			if tt.stored != nil {
				memory = append(memory, addresses(reflect.ValueOf(*tt.stored))...)
			}
			for _, address := range addresses(reflect.ValueOf(got)) {
				if slices.Contains(memory, address) {
					t.Errorf("the result shares memory with what Apply was given: %+v", got)
				}
			}
		})
	}
}

// addresses returns where the pointers, slices and maps in v point to.
func addresses(v reflect.Value) []uintptr {
	var all []uintptr
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() { // its pointer is a time zone, which nobody changes
			return nil
		}
		for i := range v.NumField() {
			all = append(all, addresses(v.Field(i))...)
		}
	case reflect.Slice:
		if v.Cap() > 0 {
			all = append(all, v.Pointer())
		}
		for i := range v.Len() {
			all = append(all, addresses(v.Index(i))...)
		}
	case reflect.Pointer, reflect.Map:
		if !v.IsNil() {
			all = append(all, v.Pointer())
		}
	}
	return all
}

// TestApplyTombstoneHoldsNothingPersonal looks at every field, also those that
// Contact may get one day.
func TestApplyTombstoneHoldsNothingPersonal(t *testing.T) {
	kept := []string{"Connection", "CustomerID", "Version", "Removed", "MergedInto"}
	for _, reason := range []RemovalReason{
		RemovedSkipped, RemovedDisconnected, RemovedDeleted, RemovedMerged, RemovedShopRedacted, RemovedRedacted,
	} {
		stored, in := fullContact(1, 1), fullContact(2, 2) // a removal that wrongly brings data along
		stored.Masked, in.Masked = FieldLocale, FieldState
		in.Removed = reason
		for name, before := range map[string]*Contact{"live": &stored, "never seen": nil, "tombstone": new(grave(RemovedSkipped, 1, 1))} {
			got, _ := Apply(before, in)
			v := reflect.ValueOf(got)
			for _, field := range reflect.VisibleFields(v.Type()) {
				if !slices.Contains(kept, field.Name) && !v.FieldByIndex(field.Index).IsZero() {
					t.Errorf("%s, %s: the tombstone keeps %s", reason, name, field.Name)
				}
			}
		}
	}
}
