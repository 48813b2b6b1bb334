package storetest

import "github.com/omnichat/shopifysync"

// maskable are the fields of a contact that can be masked, and what an
// observation says that did not see them.
var maskable = []struct {
	field shopifysync.FieldSet
	key   shopifysync.AttributeKey // set if the field is an attribute
	clear func(*shopifysync.Contact)
}{
	{shopifysync.FieldName, "", func(c *shopifysync.Contact) { c.Name, c.FirstName, c.LastName = "", "", "" }},
	{shopifysync.FieldEmail, "", func(c *shopifysync.Contact) { c.Email = "" }},
	{shopifysync.FieldPhone, "", func(c *shopifysync.Contact) { c.Phone, c.PhoneSource = "", "" }},
	{shopifysync.FieldTags, "", func(c *shopifysync.Contact) { c.Tags = nil }},
	{shopifysync.FieldNote, shopifysync.AttrNote, nil},
	{shopifysync.FieldOrders, shopifysync.AttrOrdersCount, nil},
	{shopifysync.FieldSpent, shopifysync.AttrTotalSpent, nil},
	{shopifysync.FieldEmailConsent, shopifysync.AttrEmailConsent, nil},
	{shopifysync.FieldSMSConsent, shopifysync.AttrSMSConsent, nil},
}

// cleared returns the sample without the field.
func cleared(id shopifysync.CustomerID, v shopifysync.Version, i int) shopifysync.Contact {
	in := sample(id, v)
	if m := maskable[i]; m.key == "" {
		m.clear(&in)
	} else {
		for n := range in.Attributes {
			if in.Attributes[n].Key == m.key {
				in.Attributes[n] = shopifysync.NullAttribute(m.key)
			}
		}
	}
	return in
}

func maskCases() []testCase {
	return []testCase{
		{
			name: "Mask/NeverClears",
			rule: "A masked field never clears or changes what is stored.",
			run: func(c *check) {
				for i, m := range maskable {
					id := shopifysync.CustomerID(i + 1)
					c.upsert(created, sample(id, version(1, 1)))
					in := cleared(id, version(2, 2), i)
					in.Masked = m.field
					c.upsert(unchanged, in)
					other := with(sample(id, version(3, 3)), func(c *shopifysync.Contact) {
						c.Name, c.FirstName, c.LastName, c.Email, c.Phone = "other", "other", "other", "other", "other"
						c.Tags = []string{"other"}
						for i, a := range c.Attributes {
							c.Attributes[i] = shopifysync.TextAttribute(a.Key, "other")
						}
						c.Masked = m.field
					})
					c.upsert(updated, other) // the fields that were seen
				}
			},
		},
		{
			name: "Mask/OnlyMasked",
			rule: "An observation that differs in masked fields only is unchanged.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 1)))
				in := shopifysync.Contact{Connection: tenant, CustomerID: 1, Version: version(2, 2), Name: "other"}
				for _, m := range maskable {
					in.Masked |= m.field
				}
				c.upsert(unchanged, in)
				c.touch(unchanged, with(in, func(c *shopifysync.Contact) { c.Version = version(2, 3) }))
			},
		},
		{
			name: "Mask/NullClears",
			rule: "A field that was seen and is empty clears what is stored.",
			run: func(c *check) {
				for i := range maskable {
					id := shopifysync.CustomerID(i + 1)
					c.upsert(created, sample(id, version(1, 1)))
					c.upsert(updated, cleared(id, version(2, 2), i))
				}
			},
		},
		{
			name: "Mask/OtherFieldsCount",
			rule: "A field that was seen is stored, whatever else was masked.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 1)))
				in := shopifysync.Contact{
					Connection: tenant, CustomerID: 1, Version: version(2, 2), Name: "Ann",
					Masked: shopifysync.FieldEmail | shopifysync.FieldPhone | shopifysync.FieldTags | shopifysync.FieldNote,
				}
				c.upsert(updated, in)
			},
		},
		{
			name: "Mask/ConsentAddress",
			rule: "While the e-mail or the phone is masked, a consent that was seen keeps the address stored with it.",
			run: func(c *check) {
				for i, field := range []shopifysync.FieldSet{0, shopifysync.FieldEmail, shopifysync.FieldPhone, shopifysync.FieldEmail | shopifysync.FieldPhone} {
					id := shopifysync.CustomerID(i + 1)
					c.upsert(created, sample(id, version(1, 1)))
					c.upsert(updated, with(sample(id, version(2, 2)), func(c *shopifysync.Contact) {
						c.Masked = field
						for i := range c.Attributes {
							if consent := &c.Attributes[i].Consent; c.Attributes[i].Kind == shopifysync.KindConsent {
								consent.State, consent.Address = shopifysync.ConsentUnsubscribed, ""
							}
						}
					}))
				}
			},
		},
		{
			name: "Mask/NeverSeen",
			rule: "Masked holds the fields never seen so far: of a new contact those of the observation, then fewer; it never grows.",
			run: func(c *check) {
				in := named(1, "Ann", version(1, 1))
				in.Masked = shopifysync.FieldEmail | shopifysync.FieldPhone | shopifysync.FieldNote | shopifysync.FieldCreatedAt
				c.upsert(created, in)
				in.Version, in.Masked = version(1, 2), shopifysync.FieldEmail|shopifysync.FieldNote
				c.upsert(updated, in) // it is known now that there is no phone
				in.Version, in.Masked = version(1, 3), shopifysync.FieldPhone|shopifysync.FieldNote
				c.upsert(updated, in)
				in.Version, in.Masked = version(1, 4), 0
				c.upsert(updated, in)
				in.Version, in.Masked = version(1, 5), shopifysync.FieldEmail
				c.upsert(unchanged, in)
			},
		},
		{
			name: "Mask/Stale",
			rule: "An older observation is stale even if it saw a field that the newer one did not.",
			run: func(c *check) {
				in := named(1, "Ann", version(2, 2))
				in.Masked = shopifysync.FieldEmail
				c.upsert(created, in)
				in = named(1, "Ann", version(1, 1))
				in.Email = "ann@example.com"
				c.upsert(stale, in)
			},
		},
		{
			name: "Mask/AfterRemoval",
			rule: "A contact that comes back has what its new observation saw, nothing of before.",
			run: func(c *check) {
				c.upsert(created, sample(1, version(1, 1)))
				c.remove(removed, tenant, shopifysync.RemovedDeleted, observedAt(2), shopifysync.Removal{CustomerID: 1})
				in := named(1, "Ann", version(1, 3))
				in.Masked = shopifysync.FieldEmail | shopifysync.FieldNote
				c.upsert(created, in)
			},
		},
	}
}
