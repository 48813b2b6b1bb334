package storetest

import (
	"time"

	"github.com/omnichat/shopifysync"
)

// The connection that most cases use.
const tenant shopifysync.ConnectionID = "tenant-1"

var epoch = time.Date(2024, time.May, 1, 10, 0, 0, 0, time.UTC)

// updatedAt is a customer's updatedAt: whole seconds.
func updatedAt(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

// observedAt is a time of reading: milliseconds.
func observedAt(n int) time.Time {
	return epoch.Add(time.Hour + time.Duration(n)*time.Second + 123*time.Millisecond)
}

func version(updated, observed int) shopifysync.Version {
	return shopifysync.Version{UpdatedAt: updatedAt(updated), ObservedAt: observedAt(observed)}
}

// sample returns a contact with every field filled.
func sample(id shopifysync.CustomerID, v shopifysync.Version) shopifysync.Contact {
	return shopifysync.Contact{
		Connection: tenant, CustomerID: id, Version: v,
		Name: "王小明", FirstName: "小明", LastName: "王",
		Email: "ming@example.com", Phone: "+886912345678", PhoneSource: shopifysync.PhoneCustomer,
		Tags: []string{"VIP", "會員"},
		Attributes: []shopifysync.Attribute{
			shopifysync.ConsentAttribute(shopifysync.AttrEmailConsent, shopifysync.Consent{
				State: shopifysync.ConsentSubscribed, Level: "SINGLE_OPT_IN",
				UpdatedAt: epoch.Add(-time.Hour), Address: "ming@example.com",
			}),
			shopifysync.TextAttribute(shopifysync.AttrNote, "喜歡咖啡"),
			shopifysync.NumberAttribute(shopifysync.AttrOrdersCount, "7"),
			shopifysync.ConsentAttribute(shopifysync.AttrSMSConsent, shopifysync.Consent{
				State: shopifysync.ConsentNotSubscribed, Level: "UNKNOWN",
				CollectedFrom: "OTHER", Address: "+886912345678",
			}),
			shopifysync.MoneyAttribute(shopifysync.AttrTotalSpent, shopifysync.Money{Amount: "11884.90", Currency: "TWD"}),
		},
		WhatsApp: &shopifysync.WhatsAppContact{Account: "wa-1", UserID: "886912345678", Name: "王小明"},
	}
}

// named returns a small contact.
func named(id shopifysync.CustomerID, name string, v shopifysync.Version) shopifysync.Contact {
	return shopifysync.Contact{Connection: tenant, CustomerID: id, Name: name, Version: v}
}

// with returns a changed copy of a contact: the slices of a sample are its own.
func with(c shopifysync.Contact, change func(*shopifysync.Contact)) shopifysync.Contact {
	change(&c)
	return c
}

// under returns the contact under another connection.
func under(id shopifysync.ConnectionID, c shopifysync.Contact) shopifysync.Contact {
	c.Connection = id
	return c
}
