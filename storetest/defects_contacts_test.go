package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// reading is the sound rule for what a store makes of each observation.
func reading(change func(in *contact)) rule {
	return func(stored *contact, in contact, touch bool) (*contact, outcome) {
		if in.Removed == "" {
			in = copyOf(in)
			change(&in)
		}
		return soundRule(stored, in, touch)
	}
}

// writing is the sound rule for what a store makes of each live contact.
func writing(change func(next *contact)) rule {
	return func(stored *contact, in contact, touch bool) (*contact, outcome) {
		next, outcome := soundRule(stored, in, touch)
		if next == nil || next.Removed != "" || outcome == stale {
			return next, outcome
		}
		changed := copyOf(*next)
		change(&changed)
		return &changed, outcome
	}
}

// burying is the sound rule for what a store makes of each tombstone.
func burying(change func(stored *contact, grave *contact)) rule {
	return func(stored *contact, in contact, touch bool) (*contact, outcome) {
		next, outcome := soundRule(stored, in, touch)
		if in.Removed == "" || next == nil || next.Removed == "" {
			return next, outcome
		}
		changed := copyOf(*next)
		change(stored, &changed)
		return &changed, outcome
	}
}

// comparing is the sound rule for a store that takes contacts for the same
// when what it looks at is the same.
func comparing(look func(contact) contact) rule {
	return func(stored *contact, in contact, touch bool) (*contact, outcome) {
		next, outcome := soundRule(stored, in, touch)
		if outcome != updated {
			return next, outcome
		}
		if difference(look(*stored), look(with(*next, func(c *contact) { c.Version = stored.Version }))) != "" {
			return next, outcome
		}
		kept := copyOf(*stored)
		kept.Version = next.Version
		return &kept, unchanged
	}
}

// whenStored is a rule for some contacts; for the others it is the sound one.
func whenStored(applies func(stored, in contact) bool, r rule) rule {
	return func(stored *contact, in contact, touch bool) (*contact, outcome) {
		if stored == nil || !applies(*stored, in) {
			return soundRule(stored, in, touch)
		}
		return r(stored, in, touch)
	}
}

func observation(stored, in contact) bool {
	return stored.Removed == "" && in.Removed == ""
}

func sameUpdatedAt(stored, in contact) bool {
	return observation(stored, in) && stored.Version.UpdatedAt.Equal(in.Version.UpdatedAt)
}

// wins is the rule by which whatever comes in is the newest.
func wins(stored *contact, in contact, touch bool) (*contact, outcome) {
	before := copyOf(*stored)
	before.Version = shopifysync.Version{UpdatedAt: time.Unix(-1<<40, 0)}
	return soundRule(&before, in, touch)
}

// loses is the rule by which nothing that comes in counts.
func loses(stored *contact, _ contact, _ bool) (*contact, outcome) { return stored, stale }

func attributesOf(c *contact, kind shopifysync.AttributeKind, change func(*shopifysync.Attribute)) {
	for i := range c.Attributes {
		if c.Attributes[i].Kind == kind {
			change(&c.Attributes[i])
		}
	}
}

func contactDefects() []defect {
	return append(mergedDefects(), []defect{
		// Versions.
		{"loses the e-mail of a new contact", "Version/Created", "email: got", broken(writing(func(c *contact) { c.Email = "" }))},
		{"calls a new contact updated", "Version/Created", `the outcome is "updated"`, broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == created {
				outcome = updated
			}
			return next, outcome
		})},
		{"looks at observed-at only", "Version/NewerUpdatedAt", `the outcome is "stale"`, broken(whenStored(func(stored, in contact) bool {
			return observation(stored, in) && !in.Version.ObservedAt.After(stored.Version.ObservedAt)
		}, loses))},
		{"the last writer wins", "Version/OlderUpdatedAt", `want ["stale"]`, broken(whenStored(observation, wins))},
		{"touches with an older version", "Version/OlderUpdatedAt", `want ["stale"]`, broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			if stored != nil && touch && observation(*stored, in) {
				return wins(stored, in, touch)
			}
			return soundRule(stored, in, touch)
		})},
		{"looks at updatedAt only: the first stays", "Version/NewerObservedAt", `want ["updated"]`, broken(whenStored(sameUpdatedAt, loses))},
		{"looks at updatedAt only: the last stays", "Version/OlderObservedAt", `want ["stale"]`, broken(whenStored(sameUpdatedAt, wins))},
		{"overwrites at a tie", "Version/Tie", `want ["stale"]`, broken(whenStored(func(stored, in contact) bool {
			return observation(stored, in) && stored.Version.Compare(in.Version) == 0
		}, wins))},
		{"calls the stored version again stale", "Version/Tie", `want ["unchanged"]`, broken(whenStored(func(stored, in contact) bool {
			return observation(stored, in) && stored.Version.Compare(in.Version) == 0
		}, loses))},
		{"keeps whole seconds", "Version/Milliseconds", "observed at: got", broken(reading(func(in *contact) {
			in.Version.ObservedAt = in.Version.ObservedAt.Truncate(time.Second)
		}))},
		{"never advances the version of an unchanged contact", "Version/UnchangedAdvances", "updated at: got", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == unchanged && !touch {
				next = stored
			}
			return next, outcome
		})},
		{"ignores Touch", "Version/Touch", "observed at: got", broken(func(stored *contact, in contact, _ bool) (*contact, outcome) {
			return soundRule(stored, in, false)
		})},
		{"drops the time zone", "Version/TimeZones", `"stale", want ["unchanged"]`, broken(reading(func(in *contact) {
			t := in.Version.ObservedAt
			in.Version.ObservedAt = time.Date(t.Year(), t.Month(), t.Day(), t.Hour()-24, t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
			if t.Location() == time.UTC {
				in.Version.ObservedAt = t
			}
		}))},
		{"knows no time before 1970", "Version/FarTimes", "updated at: got", broken(reading(func(in *contact) {
			if in.Version.UpdatedAt.Before(time.Unix(0, 0)) {
				in.Version.UpdatedAt = time.Unix(0, 0)
			}
		}))},
		{"knows no time after 2038", "Version/FarTimes", "updated at: got", broken(reading(func(in *contact) {
			in.Version.UpdatedAt = time.Unix(int64(int32(in.Version.UpdatedAt.Unix())), 0)
		}))},

		// Content.
		{"does not look at the consent's time", "Content/EveryFieldCounts", `want ["updated"]`, broken(comparing(func(c contact) contact {
			c = copyOf(c)
			attributesOf(&c, shopifysync.KindConsent, func(a *shopifysync.Attribute) { a.Consent.UpdatedAt = time.Time{} })
			return c
		}))},
		{"does not look at the phone's source", "Content/EveryFieldCounts", `want ["updated"]`, broken(comparing(func(c contact) contact {
			c.PhoneSource = ""
			return c
		}))},
		{"keeps what became empty", "Content/EmptyClears", "is not stored as Apply says", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == updated && next.Email == "" {
				next.Email = stored.Email
			}
			return next, outcome
		})},
		{"drops attributes not listed", "Content/AttributesUntouched", `want ["unchanged"]`, broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			if stored != nil && observation(*stored, in) {
				before := copyOf(*stored)
				for _, a := range before.Attributes {
					if !slices.ContainsFunc(in.Attributes, func(o shopifysync.Attribute) bool { return o.Key == a.Key }) {
						in.Attributes = append(slices.Clone(in.Attributes), shopifysync.NullAttribute(a.Key))
					}
				}
			}
			return soundRule(stored, in, touch)
		})},
		{"skips null attributes", "Content/AttributesUntouched", `want ["updated"]`, broken(reading(func(in *contact) {
			in.Attributes = slices.DeleteFunc(in.Attributes, func(a shopifysync.Attribute) bool { return a.Kind == shopifysync.KindNull })
		}))},
		{"keeps a null attribute", "Content/NullAttributeOfNew", "attributes: got", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == created {
				next.Attributes = slices.Clone(in.Attributes)
			}
			return next, outcome
		})},
		{"takes a number for a float", "Content/Attributes", "attributes: got", broken(writing(func(c *contact) {
			for i := range c.Attributes {
				n := c.Attributes[i].Number
				if strings.Contains(n, ".") {
					c.Attributes[i].Number = strings.TrimRight(n, "0")
				}
			}
		}))},
		{"takes an empty text for none", "Content/Attributes", "attributes: got", broken(writing(func(c *contact) {
			c.Attributes = slices.DeleteFunc(c.Attributes, func(a shopifysync.Attribute) bool {
				return a.Kind == shopifysync.KindText && a.Text == ""
			})
		}))},
		{"sorts attributes as people do", "Content/Attributes", "attributes: got", broken(writing(func(c *contact) {
			slices.SortFunc(c.Attributes, func(a, b shopifysync.Attribute) int {
				return strings.Compare(strings.ToLower(string(a.Key)), strings.ToLower(string(b.Key)))
			})
		}))},
		{"folds the case of attribute keys", "Content/AttributeKeys", "attributes: got", broken(writing(func(c *contact) {
			c.Attributes = slices.CompactFunc(c.Attributes, func(a, b shopifysync.Attribute) bool {
				return strings.EqualFold(string(a.Key), string(b.Key))
			})
		}))},
		{"takes 1970 for no time", "Content/Consents", "attributes: got", broken(writing(func(c *contact) {
			attributesOf(c, shopifysync.KindConsent, func(a *shopifysync.Attribute) {
				if a.Consent.UpdatedAt.Unix() == 0 {
					a.Consent.UpdatedAt = time.Time{}
				}
			})
		}))},
		{"takes no time for 1970", "Content/Consents", "attributes: got", broken(writing(func(c *contact) {
			attributesOf(c, shopifysync.KindConsent, func(a *shopifysync.Attribute) {
				if a.Consent.UpdatedAt.IsZero() {
					a.Consent.UpdatedAt = time.Unix(0, 0)
				}
			})
		}))},
		{"knows six consent states", "Content/Consents", "attributes: got", broken(writing(func(c *contact) {
			attributesOf(c, shopifysync.KindConsent, func(a *shopifysync.Attribute) {
				if a.Consent.State == "SOMETHING_NEW" {
					a.Consent.State = shopifysync.ConsentNotSubscribed
				}
			})
		}))},
		{"compares texts without case", "Content/BytesMatter", `want ["updated"]`, broken(comparing(folded(strings.ToLower)))},
		{"compares texts without trailing space", "Content/BytesMatter", `want ["updated"]`, broken(comparing(folded(func(s string) string {
			return strings.TrimRight(s, " ")
		})))},
		{"trims texts", "Content/BytesMatter", `want ["updated"]`, broken(reading(func(in *contact) { *in = folded(strings.TrimSpace)(*in) }))},
		{"hashes texts without their bounds", "Content/FieldBoundaries", `want ["updated"]`, broken(comparing(func(c contact) contact {
			c.FirstName, c.LastName = c.FirstName+c.LastName, ""
			return c
		}))},
		{"joins tags with commas", "Content/FieldBoundaries", `want ["updated"]`, broken(comparing(func(c contact) contact {
			c.Tags = []string{strings.Join(c.Tags, ",")}
			return c
		}))},
		{"compares numbers as numbers", "Content/FieldBoundaries", `want ["updated"]`, broken(comparing(func(c contact) contact {
			c = copyOf(c)
			attributesOf(&c, shopifysync.KindNumber, func(a *shopifysync.Attribute) { a.Number = strings.TrimSuffix(a.Number, ".0") })
			return c
		}))},
		{"loses the order of tags", "Content/Tags", "tags: got", broken(writing(func(c *contact) { slices.Reverse(c.Tags) }))},
		{"sorts tags without case", "Content/Tags", "tags: got", broken(writing(func(c *contact) {
			slices.SortFunc(c.Tags, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
		}))},
		{"truncates notes to 65,535 bytes", "Content/LongTexts", "attributes: got", broken(writing(func(c *contact) {
			attributesOf(c, shopifysync.KindText, func(a *shopifysync.Attribute) { a.Text = a.Text[:min(len(a.Text), 65535)] })
		}))},
		{"compares the first 1,000 bytes", "Content/LongTexts", `want ["updated"]`, broken(comparing(folded(func(s string) string {
			return s[:min(len(s), 1000)]
		})))},
		{"keeps 100 tags", "Content/LongTexts", "tags: got", broken(writing(func(c *contact) { c.Tags = c.Tags[:min(len(c.Tags), 100)] }))},
		{"keeps the caller's memory", "Content/NotShared", "is not stored as Apply says", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == created {
				next.Tags = in.Tags
			}
			return next, outcome
		})},
		{"sorts the caller's attributes", "Content/NotShared", "changed the contact passed in", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			slices.Reverse(in.Attributes)
			return soundRule(stored, in, touch)
		})},

		// Masks.
		{"ignores masks", "Mask/NeverClears", `want ["unchanged"]`, broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			if stored != nil {
				in.Masked = 0
			}
			return soundRule(stored, in, touch)
		})},
		{"ignores masks of attributes", "Mask/NeverClears", `want ["unchanged"]`, broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			if stored != nil {
				in.Masked &= shopifysync.FieldName | shopifysync.FieldEmail | shopifysync.FieldPhone | shopifysync.FieldTags
			}
			return soundRule(stored, in, touch)
		})},
		{"compares masked fields too", "Mask/OnlyMasked", `want ["unchanged"]`, broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == unchanged && in.Removed == "" && in.Name != stored.Name {
				outcome = updated
			}
			return next, outcome
		})},
		{"clears the address of a consent", "Mask/ConsentAddress", "attributes: got", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == updated {
				cleared := copyOf(*next)
				attributesOf(&cleared, shopifysync.KindConsent, func(a *shopifysync.Attribute) { a.Consent.Address = "" })
				next = &cleared
			}
			return next, outcome
		})},
		{"takes empty for masked", "Mask/NullClears", `want ["updated"]`, broken(reading(func(in *contact) {
			for _, m := range maskable {
				if m.clear != nil {
					without := copyOf(*in)
					m.clear(&without)
					if difference(without, *in) == "" {
						in.Masked |= m.field
					}
				}
			}
		}))},
		{"drops an observation that has masks", "Mask/OtherFieldsCount", `want ["updated"]`, broken(whenStored(func(stored, in contact) bool {
			return observation(stored, in) && in.Masked != 0
		}, loses))},
		{"keeps the last mask", "Mask/NeverSeen", "masked fields: got", broken(writing(func(c *contact) { c.Masked |= shopifysync.FieldCreatedAt }))},
		{"fills gaps from older observations", "Mask/Stale", "email: got", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == stale && stored.Email == "" {
				filled := copyOf(*stored)
				filled.Email = in.Email
				return &filled, outcome
			}
			return next, outcome
		})},
		{"hides what was removed, and shows it again", "Mask/AfterRemoval", "email: got", hiding()},

		// WhatsApp.
		{"takes no WhatsApp contact for an unlinking", "WhatsApp/Link", `want ["unchanged"]`, broken(reading(func(in *contact) {
			if in.WhatsApp == nil {
				in.WhatsApp = &shopifysync.WhatsAppContact{}
			}
		}))},
		{"never unlinks", "WhatsApp/Link", `want ["updated"]`, broken(reading(func(in *contact) {
			if in.WhatsApp != nil && in.WhatsApp.UserID == "" {
				in.WhatsApp = nil
			}
		}))},
		{"clears the name of a WhatsApp contact", "WhatsApp/MaskedName", `want ["unchanged"]`, broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			if stored != nil && in.WhatsApp != nil && in.Masked.Has(shopifysync.FieldName) {
				in.Name, in.Masked = stored.Name, in.Masked&^shopifysync.FieldName
			}
			return soundRule(stored, in, touch)
		})},
		{"keeps one name per WhatsApp contact", "WhatsApp/Shared", "WhatsApp contact: got", broken(writing(func(c *contact) {
			if c.WhatsApp != nil {
				c.WhatsApp.Name = "Ann"
			}
		}))},
		{"keeps the link of a removed contact", "WhatsApp/Removal", "WhatsApp contact: got", broken(burying(func(stored, grave *contact) {
			if stored != nil {
				grave.WhatsApp = stored.WhatsApp
			}
		}))},

		// Removals.
		{"keeps the e-mail in the tombstone", "Removal/Tombstone", "email: got", broken(burying(func(stored, grave *contact) {
			if stored != nil {
				grave.Email = stored.Email
			}
		}))},
		{"keeps the tags in the tombstone", "Removal/Tombstone", "tags: got", broken(burying(func(stored, grave *contact) {
			if stored != nil {
				grave.Tags = stored.Tags
			}
		}))},
		{"deletes instead", "Removal/Tombstone", "is not stored, want", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == removed {
				next = nil
			}
			return next, outcome
		})},
		{"no tombstone for one never seen", "Removal/NeverSeen", "is not stored, want", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			if stored == nil && in.Removed != "" {
				return nil, removed
			}
			return soundRule(stored, in, touch)
		})},
		{"a tombstone for one left out", "Removal/SkippedNeverSeen", `the outcome is "removed", want "unchanged"`, func() shopifysync.ContactStore {
			return skippedToo{newPlain(nil)}
		}},
		{"removes whatever was observed later", "Removal/Outdated", `the outcome is "removed", want "stale"`, broken(whenStored(func(stored, in contact) bool {
			return stored.Removed == "" && in.Removed != "" && in.Removed != shopifysync.RemovedRedacted
		}, func(stored *contact, in contact, touch bool) (*contact, outcome) {
			in.Version.ObservedAt = in.Version.ObservedAt.Add(time.Hour)
			return soundRule(stored, in, touch)
		}))},
		{"revives by updatedAt", "Removal/Revival", `want ["stale"]`, broken(whenStored(func(stored, in contact) bool {
			return stored.Removed != "" && stored.Removed != shopifysync.RemovedRedacted && in.Removed == "" &&
				in.Version.UpdatedAt.After(stored.Version.UpdatedAt)
		}, func(_ *contact, in contact, touch bool) (*contact, outcome) { return soundRule(nil, in, touch) }))},
		{"never revives", "Removal/Revival", `want ["created"]`, broken(whenStored(func(stored, in contact) bool {
			return stored.Removed != "" && in.Removed == ""
		}, loses))},
		{"calls one come back updated", "Removal/Revival", `want ["created"]`, broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if outcome == created && stored != nil {
				outcome = updated
			}
			return next, outcome
		})},
		{"keeps the first removal", "Removal/Later", "observed at: got", broken(whenStored(func(stored, in contact) bool {
			return stored.Removed != "" && in.Removed != ""
		}, func(stored *contact, _ contact, _ bool) (*contact, outcome) { return stored, unchanged }))},
		{"keeps the last of two removals of one time", "Removal/SameTime", "removed: got", broken(burying(func(stored, grave *contact) {
			if stored != nil && stored.Removed == shopifysync.RemovedMerged && grave.Removed == shopifysync.RemovedMerged {
				grave.Removed = shopifysync.RemovedSkipped
			}
		}))},
		{"loses the survivor", "Removal/Merged", "merged into: got", broken(burying(func(_, grave *contact) { grave.MergedInto = 0 }))},
		{"takes the survivor for a float", "Removal/Merged", "merged into: got", broken(burying(func(_, grave *contact) {
			grave.MergedInto = customer(float64(grave.MergedInto))
		}))},
		{"revives the redacted", "Removal/Redacted", `want ["stale"]`, broken(whenStored(func(stored, in contact) bool {
			return stored.Removed == shopifysync.RemovedRedacted && in.Removed == ""
		}, func(_ *contact, in contact, touch bool) (*contact, outcome) { return soundRule(nil, in, touch) }))},
		{"lets another removal end a redaction", "Removal/Redacted", "removed: got", broken(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			next, outcome := soundRule(stored, in, touch)
			if stored != nil && stored.Removed == shopifysync.RemovedRedacted && in.Removed != "" {
				next.Removed = in.Removed
			}
			return next, outcome
		})},
		{"calls an outdated redaction stale", "Removal/Redacted", `the outcome is "stale", want "removed"`, broken(whenStored(func(stored, in contact) bool {
			return in.Removed != "" && in.Version.ObservedAt.Before(stored.Version.ObservedAt)
		}, loses))},
		{"removes all but tombstones", "Removal/All", "is not stored as Apply says", func() shopifysync.ContactStore {
			return allLive{newPlain(nil)}
		}},
		{"redacts a shop for ever", "Removal/ShopRedactedStartsAfresh", `want ["created"]`, broken(whenStored(func(stored, in contact) bool {
			return stored.Removed == shopifysync.RemovedShopRedacted && in.Removed == ""
		}, loses))},
		{"forgets a redaction now and then", "Model/Random", "", broken(whenStored(func(stored, in contact) bool {
			return stored.Removed == shopifysync.RemovedRedacted && in.Removed == "" && in.Name == "Ann"
		}, func(_ *contact, in contact, touch bool) (*contact, outcome) { return soundRule(nil, in, touch) }))},

		// Concurrency.
		{"reads, then writes", "Concurrency/SameContacts", "", func() shopifysync.ContactStore {
			s := newPlain(nil)
			s.between = patient
			return s
		}},
		{"reads, then writes: removals", "Concurrency/Removals", "", func() shopifysync.ContactStore {
			s := newPlain(nil)
			s.between = patient
			return s
		}},
	}...)
}

// folded returns a contact as a store sees it that folds every text.
func folded(fold func(string) string) func(contact) contact {
	return func(c contact) contact {
		c = copyOf(c)
		c.Name, c.FirstName, c.LastName = fold(c.Name), fold(c.FirstName), fold(c.LastName)
		c.Email, c.Phone = fold(c.Email), fold(c.Phone)
		for i := range c.Tags {
			c.Tags[i] = fold(c.Tags[i])
		}
		for i := range c.Attributes {
			c.Attributes[i].Text = fold(c.Attributes[i].Text)
		}
		return c
	}
}

// hiding returns a store in which a removed contact that comes back has again
// what it had before.
func hiding() func() shopifysync.ContactStore {
	return func() shopifysync.ContactStore {
		type key struct {
			connection connID
			customer   customer
		}
		hidden := make(map[key]contact)
		return newPlain(func(stored *contact, in contact, touch bool) (*contact, outcome) {
			k := key{in.Connection, in.CustomerID}
			next, outcome := soundRule(stored, in, touch)
			if outcome == removed && stored != nil {
				hidden[k] = copyOf(*stored)
			}
			if outcome == created && stored != nil {
				before := hidden[k]
				merged, _ := shopifysync.Apply(&before, in)
				next = &merged
			}
			return next, outcome
		})
	}
}
