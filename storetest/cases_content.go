package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

func contentCases() []testCase {
	return []testCase{
		{
			name: "Content/EveryFieldCounts",
			rule: "A contact that differs in any field is updated, and stored as it is.",
			run: func(c *check) {
				for i, change := range contentChanges {
					id := shopifysync.CustomerID(i + 1)
					c.upsert(created, sample(id, version(1, 1)))
					c.upsert(updated, with(sample(id, version(1, 2)), change))
					c.upsert(updated, sample(id, version(1, 3)))
				}
			},
		},
		{
			name: "Content/EmptyClears",
			rule: "An empty field that is not masked clears what is stored.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 1)))
				c.upsert(updated, shopifysync.Contact{Connection: tenant, CustomerID: 1, Version: version(2, 2)})
			},
		},
		{
			name: "Content/AttributesUntouched",
			rule: "An attribute that is not listed stays; a new one is added; a null one is cleared, and nothing is kept of it.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 1)))
				change := func(n int, attributes ...shopifysync.Attribute) shopifysync.Contact {
					return with(sample(1, version(n, n)), func(c *shopifysync.Contact) { c.Attributes = attributes })
				}
				c.upsert(unchanged, change(2))
				c.upsert(updated, change(3, shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, "8")))
				c.upsert(updated, change(4, shopifysync.NumberAttribute("custom.points", "100")))
				c.upsert(updated, change(5, shopifysync.NullAttribute(shopifysync.AttrNote)))
				c.upsert(unchanged, change(6, shopifysync.NullAttribute(shopifysync.AttrNote), shopifysync.NullAttribute("custom.never")))
				c.upsert(updated, change(7, shopifysync.TextAttribute(shopifysync.AttrNote, "back again")))
				c.upsert(updated, change(8, shopifysync.NullAttribute("custom.points"),
					shopifysync.NullAttribute(shopifysync.AttrEmailConsent), shopifysync.NullAttribute(shopifysync.AttrNote),
					shopifysync.NullAttribute(shopifysync.AttrOrdersCount), shopifysync.NullAttribute(shopifysync.AttrSMSConsent),
					shopifysync.NullAttribute(shopifysync.AttrTotalSpent)))
			},
		},
		{
			name: "Content/NullAttributeOfNew",
			rule: "A null attribute of a contact never seen, or of one come back, is not stored.",
			run: func(c *check) {
				in := named(1, "Ann", version(1, 1))
				in.Attributes = []shopifysync.Attribute{
					shopifysync.NullAttribute("custom.none"), shopifysync.NullAttribute(shopifysync.AttrNote),
				}
				c.upsert(created, in)
				c.remove(removed, tenant, shopifysync.RemovedDeleted, observedAt(2), shopifysync.Removal{CustomerID: 1})
				in.Version = version(1, 3)
				c.upsert(created, in)
			},
		},
		{
			name: "Content/Attributes",
			rule: "Attributes of every kind, under any key, are kept exactly, and come sorted by key in byte order.",
			run: func(c *check) {
				for i, a := range attributeSamples() {
					in := named(shopifysync.CustomerID(i+1), "", version(1, 1))
					in.Attributes = []shopifysync.Attribute{a}
					c.upsert(created, in)
					c.upsert(unchanged, in)
					in.Version = version(2, 2)
					in.Attributes = []shopifysync.Attribute{shopifysync.NullAttribute(a.Key)}
					c.upsert(updated, in)
				}
				all := named(1000, "", version(1, 1))
				for i, a := range attributeSamples() {
					a.Key = shopifysync.AttributeKey(fmt.Sprintf("%s %d", []string{"Z", "a", "B", "é", "會"}[i%5], i))
					all.Attributes = append(all.Attributes, a)
				}
				slices.SortFunc(all.Attributes, func(a, b shopifysync.Attribute) int {
					return strings.Compare(string(a.Key), string(b.Key))
				})
				c.upsert(created, all)
			},
		},
		{
			name: "Content/AttributeKeys",
			rule: "Attribute keys are compared byte for byte.",
			run: func(c *check) {
				in := named(1, "", version(1, 1))
				keys := slices.Clone(lookalikes)
				slices.Sort(keys)
				for i, key := range keys {
					in.Attributes = append(in.Attributes, shopifysync.NumberAttribute(shopifysync.AttributeKey(key), fmt.Sprint(i)))
				}
				c.upsert(created, in)
				in.Version = version(2, 2)
				in.Attributes = []shopifysync.Attribute{shopifysync.NullAttribute(shopifysync.AttributeKey(lookalikes[0]))}
				c.upsert(updated, in)
			},
		},
		{
			name: "Content/Consents",
			rule: "Consents are kept raw: every state, those unknown to the library too, level, time, source and address.",
			run: func(c *check) {
				states := []shopifysync.ConsentState{
					shopifysync.ConsentSubscribed, shopifysync.ConsentNotSubscribed, shopifysync.ConsentPending,
					shopifysync.ConsentUnsubscribed, shopifysync.ConsentInvalid, shopifysync.ConsentRedacted, "SOMETHING_NEW", "",
				}
				times := []time.Time{
					{}, epoch, time.Unix(0, 0), // 0 is a time, not the lack of one
					time.Date(1969, time.December, 31, 23, 59, 59, 999e6, time.UTC),
					time.Date(1900, time.January, 1, 0, 0, 0, 1e6, time.UTC),
					time.Date(9999, time.December, 31, 23, 59, 59, 999e6, time.UTC),
				}
				levels := []shopifysync.ConsentLevel{"", "SINGLE_OPT_IN", "CONFIRMED_OPT_IN", "UNKNOWN"}
				var n shopifysync.CustomerID
				for _, state := range states {
					for _, at := range times {
						n++
						consent := shopifysync.Consent{
							State: state, Level: levels[int(n)%len(levels)], UpdatedAt: at,
							CollectedFrom: []string{"", "SHOPIFY", "OTHER"}[n%3],
							Address:       []string{"", "ming@example.com", "+886912345678"}[n%3],
						}
						key := []shopifysync.AttributeKey{shopifysync.AttrEmailConsent, shopifysync.AttrSMSConsent, "custom.consent"}[n%3]
						in := named(n, "", version(1, 1))
						in.Attributes = []shopifysync.Attribute{shopifysync.ConsentAttribute(key, consent)}
						c.upsert(created, in)
					}
				}
			},
		},
		{
			name: "Content/BytesMatter",
			rule: "Texts are kept and compared byte for byte: case, surrounding space, width and Unicode normal form are content.",
			run: func(c *check) {
				saying := func(text string, id shopifysync.CustomerID, observed int) shopifysync.Contact {
					in := named(id, text, version(1, observed))
					in.Email, in.Phone, in.FirstName, in.LastName = text, text, text, text
					in.Tags = []string{text}
					in.Attributes = []shopifysync.Attribute{shopifysync.TextAttribute(shopifysync.AttrNote, text)}
					return in
				}
				for _, before := range lookalikes {
					var first, second []shopifysync.Contact
					for _, after := range lookalikes {
						if after != before {
							id := shopifysync.CustomerID(len(c.model[tenant]) + len(first) + 1)
							first = append(first, saying(before, id, 1))
							second = append(second, saying(after, id, 2))
						}
					}
					c.batch(tenant, false, first...)
					c.batch(tenant, false, second...)
				}
			},
		},
		{
			name: "Content/FieldBoundaries",
			rule: "Contacts are different if the same letters are in other fields, tags or attributes.",
			run: func(c *check) {
				pair := func(a, b func(*shopifysync.Contact)) {
					id := shopifysync.CustomerID(len(c.model[tenant]) + 1)
					c.upsert(created, with(named(id, "", version(1, 1)), a))
					c.upsert(updated, with(named(id, "", version(1, 2)), b))
				}
				pair(
					func(c *shopifysync.Contact) { c.FirstName, c.LastName = "ab", "c" },
					func(c *shopifysync.Contact) { c.FirstName, c.LastName = "a", "bc" })
				for _, tags := range [][2][]string{
					{{"ab", "c"}, {"a", "bc"}}, {{"a,b"}, {"a", "b"}}, {{"a\nb"}, {"a", "b"}}, {{"a\x1fb"}, {"a", "b"}},
					{{`a","b`}, {"a", "b"}}, {{"{a,b}"}, {"a", "b"}}, {{"NULL"}, nil}, {{`\`}, {`\\`}}, {{"'"}, {"''"}},
				} {
					pair(func(c *shopifysync.Contact) { c.Tags = tags[0] }, func(c *shopifysync.Contact) { c.Tags = tags[1] })
				}
				pair(
					func(c *shopifysync.Contact) {
						c.Attributes = []shopifysync.Attribute{shopifysync.MoneyAttribute("k", shopifysync.Money{Amount: "1", Currency: "TWD"})}
					},
					func(c *shopifysync.Contact) {
						c.Attributes = []shopifysync.Attribute{shopifysync.TextAttribute("k", "1 TWD")}
					})
				pair(
					func(c *shopifysync.Contact) {
						c.Attributes = []shopifysync.Attribute{shopifysync.NumberAttribute("k", "1")}
					},
					func(c *shopifysync.Contact) {
						c.Attributes = []shopifysync.Attribute{shopifysync.NumberAttribute("k", "1.0")}
					})
				pair(
					func(c *shopifysync.Contact) {
						c.Attributes = []shopifysync.Attribute{shopifysync.NumberAttribute("k", "1")}
					},
					func(c *shopifysync.Contact) {
						c.Attributes = []shopifysync.Attribute{shopifysync.TextAttribute("k", "1")}
					})
				pair(
					func(c *shopifysync.Contact) {},
					func(c *shopifysync.Contact) {
						c.Attributes = []shopifysync.Attribute{shopifysync.TextAttribute("k", "")}
					})
			},
		},
		{
			name: "Content/Tags",
			rule: "Tags are kept, each as it is, and come sorted in byte order.",
			run: func(c *check) {
				tags := append([]string{"VIP", "vip", "Zulu", "alpha", "10", "9", "會員", "é", "e\u0301", "😀", "ﬀ"}, lookalikes...)
				slices.Sort(tags)
				tags = slices.Compact(tags)
				in := named(1, "", version(1, 1))
				in.Tags = tags
				c.upsert(created, in)
				c.upsert(unchanged, in)
				in.Version, in.Tags = version(2, 2), tags[1:]
				c.upsert(updated, in)
				in.Version, in.Tags = version(3, 3), nil
				c.upsert(updated, in)
			},
		},
		{
			name: "Content/LongTexts",
			rule: "A note of 65,535 characters and 250 tags of 255 characters are kept whole.",
			run: func(c *check) {
				for i, letter := range []string{"a", "會", "😀"} {
					in := sample(shopifysync.CustomerID(i+1), version(1, 1))
					in.Name = strings.Repeat(letter, 511)
					in.FirstName, in.LastName = strings.Repeat(letter, 255), strings.Repeat(letter, 255)
					in.Attributes = []shopifysync.Attribute{
						shopifysync.TextAttribute("custom.long", strings.Repeat(letter, 65534)+"."),
						shopifysync.TextAttribute(shopifysync.AttrNote, strings.Repeat(letter, 65534)+"."),
					}
					in.Tags = nil
					for n := range 250 {
						in.Tags = append(in.Tags, fmt.Sprintf("%03d", n)+strings.Repeat(letter, 252))
					}
					c.upsert(created, in)
					in.Version = version(1, 2)
					in.Attributes[1].Text = strings.Repeat(letter, 65534) + "!" // only the last letter differs
					c.upsert(updated, in)
				}
			},
		},
		{
			name: "Content/NotShared",
			rule: "A call changes nothing of the values passed in, and keeps none of their memory; what is returned is the caller's.",
			run: func(c *check) {
				in := sample(1, version(1, 1))
				in.Attributes = append(in.Attributes, shopifysync.NullAttribute("zzz"))
				before := show(in)
				c.upsert(created, in)
				if after := show(in); after != before {
					c.fatalf("UpsertContacts changed the contact passed in\nbefore: %s\nafter: %s", before, after)
				}
				scribble(in)
				c.verifyAll()
				scribble(c.stored(tenant, 1))
				c.verifyAll()
			},
		},
	}
}

// contentChanges change one field of a sample each.
var contentChanges = []func(*shopifysync.Contact){
	func(c *shopifysync.Contact) { c.Name = "王 小明" },
	func(c *shopifysync.Contact) { c.FirstName = "" },
	func(c *shopifysync.Contact) { c.LastName = "汪" },
	func(c *shopifysync.Contact) { c.Email = "Ming@example.com" },
	func(c *shopifysync.Contact) { c.Phone = "" },
	func(c *shopifysync.Contact) { c.PhoneSource = shopifysync.PhoneAddress },
	func(c *shopifysync.Contact) { c.Tags = nil },
	func(c *shopifysync.Contact) { c.Tags = c.Tags[:1] },
	func(c *shopifysync.Contact) { c.Tags = append(c.Tags, "～") },
	func(c *shopifysync.Contact) { c.WhatsApp = &shopifysync.WhatsAppContact{} },
	func(c *shopifysync.Contact) { c.WhatsApp.Account = "wa-2" },
	func(c *shopifysync.Contact) { c.WhatsApp.UserID = "886912345679" },
	func(c *shopifysync.Contact) { c.WhatsApp.Name = "小明" },
	func(c *shopifysync.Contact) { c.Attributes[0].Consent.State = shopifysync.ConsentUnsubscribed },
	func(c *shopifysync.Contact) { c.Attributes[0].Consent.Level = "" },
	func(c *shopifysync.Contact) {
		c.Attributes[0].Consent.UpdatedAt = epoch.Add(-time.Hour + time.Millisecond)
	},
	func(c *shopifysync.Contact) { c.Attributes[0].Consent.Address = "" },
	func(c *shopifysync.Contact) { c.Attributes[1].Text = "喜歡咖啡 " },
	func(c *shopifysync.Contact) { c.Attributes[2].Number = "8" },
	func(c *shopifysync.Contact) { c.Attributes[3].Consent.CollectedFrom = "SHOPIFY" },
	func(c *shopifysync.Contact) { c.Attributes[3].Consent.UpdatedAt = time.Unix(0, 0) },
	func(c *shopifysync.Contact) { c.Attributes[4].Number = "11884.9" },
	func(c *shopifysync.Contact) { c.Attributes[4].Currency = "HKD" },
	func(c *shopifysync.Contact) { c.Attributes[4] = shopifysync.NullAttribute(shopifysync.AttrTotalSpent) },
}

// lookalikes are texts that a database might take for one another.
var lookalikes = []string{
	"cafe", "Cafe", "CAFE", "cafe ", " cafe", "cafe\t", "caf\u00e9", "cafe\u0301", "ｃａｆｅ",
	"caf%", "caf_", `caf\`, "caf'", `caf"`, "caf\u200be", "straße", "strasse", "\u212aelvin", "Kelvin", "kelvin",
	"😀", "👨‍👩‍👧", "0", "00", "-0", "null", "NULL",
}

func attributeSamples() []shopifysync.Attribute {
	amounts := []string{
		"0", "-0.5", "7", "11884.9", "11884.90", "0.10", "007", "9007199254740993",
		"123456789012345678901234567890.1234567890",
	}
	var all []shopifysync.Attribute
	for _, n := range amounts {
		all = append(all,
			shopifysync.NumberAttribute("custom.number", n),
			shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, n),
			shopifysync.MoneyAttribute("custom.money", shopifysync.Money{Amount: n, Currency: "TWD"}),
			shopifysync.MoneyAttribute(shopifysync.AttrTotalSpent, shopifysync.Money{Amount: n, Currency: "JPY"}))
	}
	for _, s := range []string{"", " ", "{}", `["a"]`, "null", "line\r\nbreak", "\u202eright to left", "tab\tquote\"'\\"} {
		all = append(all,
			shopifysync.TextAttribute("custom.text", s),
			shopifysync.TextAttribute(shopifysync.AttrNote, s))
	}
	consent := shopifysync.Consent{State: shopifysync.ConsentPending, UpdatedAt: epoch}
	return append(all,
		shopifysync.ConsentAttribute("custom.consent", consent),
		shopifysync.ConsentAttribute("custom.consent", shopifysync.Consent{}),
		// A mapper may give a known key a value of another kind.
		shopifysync.TextAttribute(shopifysync.AttrOrdersCount, "many"),
		shopifysync.NumberAttribute(shopifysync.AttrNote, "42"),
		shopifysync.ConsentAttribute(shopifysync.AttrTotalSpent, consent),
		shopifysync.TextAttribute(shopifysync.AttrEmailConsent, "yes"))
}

// scribble overwrites all that a contact points to.
func scribble(c shopifysync.Contact) {
	for i := range c.Tags {
		c.Tags[i] = "scribbled"
	}
	for i := range c.Attributes {
		c.Attributes[i] = shopifysync.TextAttribute("scribbled", "scribbled")
	}
	if c.WhatsApp != nil {
		*c.WhatsApp = shopifysync.WhatsAppContact{Account: "scribbled", UserID: "scribbled"}
	}
}
