package shopifysync

import (
	"slices"
	"strings"
)

// Apply is the rule by which every store takes an observation or a removal:
// given what is stored under a key (nil if nothing is) and what comes in, it
// returns what is to be stored and the outcome. It is pure; stores call it, or
// match it in their own language.
//
// An observation (in.Removed is empty):
//
//   - of a customer never seen is [Created];
//   - with a newer UpdatedAt, or the same one and a newer ObservedAt, is
//     [Updated] if its content differs and [Unchanged] if not, in which case
//     only the version advances; see [ContactStore.UpsertContacts] for when
//     that may be left out;
//   - that is older is [Stale], as is one of the same version and other content;
//   - of a tombstone is [Created] if it was observed later than the removal,
//     whatever its UpdatedAt, and Stale otherwise; of a redacted one it is
//     always Stale.
//
// A removal (in.Removed is set) makes a live contact a tombstone ([Removed])
// unless the contact was observed later (Stale). Redaction wins over
// everything, whenever it was observed. A removal of a tombstone keeps the
// later of the two and is Unchanged.
//
// Masked fields, attributes that in does not list, and a nil WhatsApp keep
// what is stored; a null attribute clears it.
//
// A masked address may have told the country of a phone number in national
// format. A number that is not E.164 then keeps the stored one, with its
// consents and WhatsApp contact, if it can be the same; if not, it replaces it,
// and a nil WhatsApp unlinks.
//
// Observations of one customer end alike in whatever order they are applied,
// provided that they list the same attributes, agree on whether WhatsApp is nil
// and on what is masked, and that no two with different content bear the same
// version. The result may share memory with stored.
func Apply(stored *Contact, in Contact) (Contact, Outcome) {
	switch {
	case in.Removed != "":
		return applyRemoval(stored, in)
	case stored == nil:
		return merge(Contact{Masked: in.Masked}, in), Created
	case stored.Removed == RemovedRedacted:
		return *stored, Stale
	case stored.Removed != "":
		if !in.Version.ObservedAt.After(stored.Version.ObservedAt) {
			return *stored, Stale
		}
		return merge(Contact{Masked: in.Masked}, in), Created
	}
	order := in.Version.Compare(stored.Version)
	if order < 0 {
		return *stored, Stale
	}
	merged := merge(*stored, in)
	switch {
	case sameContent(*stored, merged):
		return merged, Unchanged
	case order == 0:
		return *stored, Stale
	}
	return merged, Updated
}

func applyRemoval(stored *Contact, in Contact) (Contact, Outcome) {
	grave := Contact{
		Connection: in.Connection, CustomerID: in.CustomerID, Version: in.Version,
		Removed: in.Removed, MergedInto: in.MergedInto,
	}
	if stored == nil {
		return grave, Removed
	}
	if stored.Version.UpdatedAt.After(grave.Version.UpdatedAt) {
		grave.Version.UpdatedAt = stored.Version.UpdatedAt
	}
	earlier := in.Version.ObservedAt.Before(stored.Version.ObservedAt)
	if in.Removed == RemovedRedacted || stored.Removed == RemovedRedacted {
		grave.Removed, grave.MergedInto = RemovedRedacted, 0
		if earlier {
			grave.Version.ObservedAt = stored.Version.ObservedAt
		}
		if stored.Removed != "" {
			return grave, Unchanged
		}
		return grave, Removed
	}
	if stored.Removed == "" {
		if earlier {
			return *stored, Stale
		}
		return grave, Removed
	}
	same := in.Version.ObservedAt.Equal(stored.Version.ObservedAt)
	if earlier || same && !in.outranks(*stored) {
		grave.Version.ObservedAt = stored.Version.ObservedAt
		grave.Removed, grave.MergedInto = stored.Removed, stored.MergedInto
	}
	return grave, Unchanged
}

// removalRank orders the reasons for removals that bear the same time.
var removalRank = map[RemovalReason]int{
	RemovedSkipped: 1, RemovedDisconnected: 2, RemovedDeleted: 3,
	RemovedMerged: 4, RemovedShopRedacted: 5, RemovedRedacted: 6,
}

// outranks decides between two removals of one time, the same way in either order.
func (c Contact) outranks(o Contact) bool {
	if a, b := removalRank[c.Removed], removalRank[o.Removed]; a != b {
		return a > b
	}
	return c.MergedInto > o.MergedInto
}

// merge lays in over base: what in did not see stays. The result shares no
// memory with either.
func merge(base, in Contact) Contact {
	out := in
	if in.Masked.Has(FieldAddress) && !in.Masked.Has(FieldPhone) && in.Phone != "" && !isE164(in.Phone) {
		if in.Phone == base.Phone || mayBe(base.Phone, in.Phone) {
			in.Masked |= FieldPhone
		} else if in.WhatsApp == nil {
			in.WhatsApp = &WhatsAppContact{}
		}
	}
	out.Removed, out.MergedInto = "", 0
	out.Masked = base.Masked & in.Masked
	if in.Masked.Has(FieldName) {
		out.Name, out.FirstName, out.LastName = base.Name, base.FirstName, base.LastName
	}
	if in.Masked.Has(FieldEmail) {
		out.Email = base.Email
	}
	if in.Masked.Has(FieldPhone) {
		out.Phone, out.PhoneSource = base.Phone, base.PhoneSource
	}
	if in.Masked.Has(FieldTags) {
		out.Tags = base.Tags
	}
	out.Tags = slices.Clone(out.Tags)
	out.Attributes = mergeAttributes(base.Attributes, in)
	out.WhatsApp = mergeWhatsApp(base, in)
	return out
}

func mergeWhatsApp(base, in Contact) *WhatsAppContact {
	link := in.WhatsApp
	if link == nil {
		link = base.WhatsApp
	}
	if link == nil || link.UserID == "" {
		return nil
	}
	merged := *link
	if in.Masked.Has(FieldName) && base.WhatsApp != nil {
		merged.Name = base.WhatsApp.Name
	}
	return &merged
}

func mergeAttributes(base []Attribute, in Contact) []Attribute {
	out := make([]Attribute, 0, max(len(base), len(in.Attributes)))
	for _, a := range in.Attributes {
		if in.Masked != 0 { // mostly nothing is
			if field, ok := attributeFields[a.Key]; ok && in.Masked.Has(field) {
				continue
			}
			if field, ok := consentAddresses[a.Key]; ok && a.Kind == KindConsent && in.Masked.Has(field) {
				a.Consent.Address = storedAddress(base, a.Key)
			}
		}
		out = append(out, a)
	}
	listed := len(out)
	for i := range base {
		if !hasKey(out[:listed], base[i].Key) {
			out = append(out, base[i])
		}
	}
	out = slices.DeleteFunc(out, func(a Attribute) bool { return a.Kind == KindNull })
	slices.SortFunc(out, func(a, b Attribute) int { return strings.Compare(string(a.Key), string(b.Key)) })
	if len(out) == 0 {
		return nil
	}
	return out
}

func hasKey(attrs []Attribute, key AttributeKey) bool {
	for i := range attrs {
		if attrs[i].Key == key {
			return true
		}
	}
	return false
}

// consentAddresses tells which field holds the address that a consent belongs
// to: while that is masked, the stored consent's address stays.
var consentAddresses = map[AttributeKey]FieldSet{AttrEmailConsent: FieldEmail, AttrSMSConsent: FieldPhone, AttrWhatsAppConsent: FieldPhone}

func storedAddress(attrs []Attribute, key AttributeKey) string {
	for _, a := range attrs {
		if a.Key == key {
			return a.Consent.Address
		}
	}
	return ""
}

// sameContent compares everything but key and version.
func sameContent(a, b Contact) bool {
	return a.Name == b.Name && a.FirstName == b.FirstName && a.LastName == b.LastName &&
		a.Email == b.Email && a.Phone == b.Phone && a.PhoneSource == b.PhoneSource &&
		a.Masked == b.Masked && slices.Equal(a.Tags, b.Tags) &&
		slices.EqualFunc(a.Attributes, b.Attributes, Attribute.Equal) &&
		(a.WhatsApp == nil) == (b.WhatsApp == nil) && (a.WhatsApp == nil || *a.WhatsApp == *b.WhatsApp)
}
