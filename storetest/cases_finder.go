package storetest

import (
	"fmt"
	"slices"

	"github.com/omnichat/shopifysync"
)

func (c *check) expectFound(email, phone string, want ...shopifysync.CustomerID) {
	c.Helper()
	result, err := c.finder.FindContacts(c.ctx, shopifysync.FindContactsParams{Connection: tenant, Email: email, Phone: phone})
	c.noError("FindContacts", err)
	var got []shopifysync.CustomerID
	for _, found := range result.Contacts {
		got = append(got, found.CustomerID)
		if d := difference(c.stored(tenant, found.CustomerID), found); d != "" {
			c.fatalf("FindContacts returned customer %d otherwise than it is stored:\n%s", found.CustomerID, d)
		}
	}
	if !slices.Equal(got, want) {
		c.fatalf("FindContacts of e-mail %+q, phone %+q: got %d, want %d", email, phone, got, want)
	}
}

func finderCases() []testCase {
	person := func(id shopifysync.CustomerID, email, phone string) shopifysync.Contact {
		return with(sample(id, version(1, 1)), func(c *shopifysync.Contact) { c.Email, c.Phone = email, phone })
	}
	return []testCase{
		{
			name: "Finder/EmailOrPhone",
			rule: "FindContacts returns the live contacts with that e-mail or that phone, whole, by ascending customer id; empty ones find nothing.",
			run: func(c *check) {
				c.batch(tenant, false,
					person(10, "ann@example.com", "+886911111111"), person(9, "ann@example.com", ""),
					person(100, "bob@example.com", "+886911111111"), person(4, "", ""), person(5, "joann@example.com", "+8869111111112"))
				c.expectFound("ann@example.com", "", 9, 10)
				c.expectFound("", "+886911111111", 10, 100)
				c.expectFound("ann@example.com", "+886911111111", 9, 10, 100)
				c.expectFound("", "")
				c.expectFound("nobody@example.com", "+886900000000")
			},
		},
		{
			name: "Finder/Exact",
			rule: "E-mails are compared without regard to the case of ASCII letters, all else, and phones, byte for byte.",
			run: func(c *check) {
				emails := []string{
					"Kelvin@Example.com", "\u212aelvin@example.com", "kelvin@example.com ", "k%@example.com", "k_lvin@example.com",
					"é@example.com", "É@example.com", "e\u0301@example.com", "straße@example.com", "strasse@example.com", "ı@example.com", "i@example.com",
				}
				for i, email := range emails {
					c.upsert(created, person(shopifysync.CustomerID(i+1), email, fmt.Sprintf("+8869123456%d A", i)))
				}
				for i, email := range emails {
					c.expectFound(email, "", shopifysync.CustomerID(i+1))
				}
				c.expectFound("KELVIN@EXAMPLE.COM", "", 1)
				c.expectFound("I@example.com", "", 12)
				c.expectFound("", "+88691234560 A", 1)
				c.expectFound("", "+88691234560 a")
				c.expectFound("", "+88691234560 A ")
				c.expectFound("", "88691234560 A")
				c.expectFound("", "+88691234560A")
				c.expectFound("%", "%")
			},
		},
		{
			name: "Finder/LiveOnly",
			rule: "Removed contacts, and those of other connections, are not found; a changed address is found by the new one only.",
			run: func(c *check) {
				c.upsert(created, person(1, "ann@example.com", "+886911111111"))
				c.upsert(created, person(2, "ann@example.com", "+886911111111"))
				c.upsert(created, under("tenant-2", person(3, "ann@example.com", "+886911111111")))
				c.remove(removed, tenant, shopifysync.RemovedDeleted, observedAt(2), removal(1))
				c.expectFound("ann@example.com", "+886911111111", 2)
				c.upsert(updated, with(person(2, "new@example.com", "+886922222222"), func(c *shopifysync.Contact) { c.Version = version(2, 2) }))
				c.expectFound("ann@example.com", "+886911111111")
				c.expectFound("new@example.com", "", 2)
			},
		},
		{
			name: "Finder/Cancelled",
			rule: "A call whose context has ended returns an error, not an empty answer.",
			run: func(c *check) {
				_, err := c.finder.FindContacts(c.ended(), shopifysync.FindContactsParams{Connection: tenant, Email: "ann@example.com"})
				c.cancelled("FindContacts", err)
			},
		},
	}
}
