package main

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/omnichat/shopifysync"
)

type contactBody struct {
	cardView
	Fields []fieldRow
}

// A fieldRow is a field of a contact, with where it came from.
type fieldRow struct {
	Label, Value string
	List         []string // instead of Value
	Masked       bool     // Shopify did not show it
	Tone         string
	Beaten       bool // by an opt-out in a conversation
	Detail       []string
	Source       string
}

func (c *console) contact(w http.ResponseWriter, r *http.Request) error {
	p, conn, _, err := c.storePage(r, "contacts")
	if err != nil {
		return err
	}
	id, err := customerOf(r)
	if err != nil {
		return err
	}
	got, err := c.store.Contacts(r.Context(), shopifysync.ContactsParams{Connection: conn.ID, IDs: []shopifysync.CustomerID{id}})
	if err != nil {
		return err
	}
	if len(got.Contacts) == 0 {
		return errNotFound
	}
	contact := got.Contacts[0]
	at, err := c.agents.optedOut(r.Context(), conn.ID, id)
	if err != nil {
		return err
	}
	b := contactBody{cardView: p.card(contact), Fields: p.fields(contact, !at.IsZero())}
	b.optOut(at)
	if b.AgentTags, err = c.agents.tags(r.Context(), conn.ID, id); err != nil {
		return err
	}
	p.Title, p.Body = contact.Name, b
	if contact.Name == "" {
		p.Title = p.T.Nameless
	}
	if contact.Removed != "" {
		p.Title = id.String()
	}
	return c.show(w, r, "contact", p)
}

// fields lists all of a contact, with the field of Shopify's that each came from.
func (p *page) fields(c shopifysync.Contact, optedOut bool) []fieldRow {
	t, m := p.T, c.Masked
	phone := "phone"
	switch c.PhoneSource {
	case shopifysync.PhoneCustomer:
		phone = t.PhoneOfCustomer
	case shopifysync.PhoneAddress:
		phone = t.PhoneOfAddress
	}
	rows := []fieldRow{
		{Label: t.Name, Value: c.Name, Masked: m.Has(shopifysync.FieldName), Source: t.NameSource},
		{Label: t.FirstName, Value: c.FirstName, Masked: m.Has(shopifysync.FieldName), Source: "firstName"},
		{Label: t.LastName, Value: c.LastName, Masked: m.Has(shopifysync.FieldName), Source: "lastName"},
		{Label: t.MemberNumber, Value: c.CustomerID.String(), Source: "id"},
		{Label: t.Email, Value: c.Email, Masked: m.Has(shopifysync.FieldEmail), Source: "email"},
		{Label: t.Phone, Value: c.Phone, Masked: m.Has(shopifysync.FieldPhone), Source: phone},
		{Label: t.Tags, List: c.Tags, Masked: m.Has(shopifysync.FieldTags), Source: "tags"},
	}
	for _, a := range inOrder(c.Attributes) {
		v := p.attribute(a)
		if optedOut {
			v.beat()
		}
		row := fieldRow{Label: v.Label, Value: v.Value, Tone: v.Tone, Beaten: v.Beaten, Source: attributeSources[a.Key]}
		if v.Consent != nil {
			row.Detail = p.consentDetail(*v.Consent)
		}
		rows = append(rows, row)
	}
	listed := func(key shopifysync.AttributeKey) bool {
		for _, a := range c.Attributes {
			if a.Key == key {
				return true
			}
		}
		return false
	}
	for _, hidden := range maskedAttributes {
		if m.Has(hidden.field) && !listed(hidden.key) {
			rows = append(rows, fieldRow{Label: hidden.key.Label(t.Lang), Masked: true, Source: attributeSources[hidden.key]})
		}
	}
	whatsApp := fieldRow{Label: "WhatsApp", Source: t.WhatsAppSource}
	if w := c.WhatsApp; w != nil && w.UserID != "" {
		whatsApp.Value = w.UserID
		for _, account := range whatsAppAccounts {
			if account.ID == w.Account {
				whatsApp.Detail = []string{account.Name}
			}
		}
	}
	return append(rows, whatsApp)
}

// consentDetail says how, when and for which address a consent was given.
func (p *page) consentDetail(c shopifysync.Consent) []string {
	var all []string
	add := func(label, value string) {
		if value != "" {
			all = append(all, p.Pair(label, value))
		}
	}
	add(p.T.ConsentLevel, p.T.LevelLabel(c.Level))
	if !c.UpdatedAt.IsZero() {
		add(p.T.ConsentAt, c.UpdatedAt.In(p.zone).Format("2006-01-02 15:04"))
	}
	add(p.T.ConsentFor, c.Address)
	add(p.T.ConsentFrom, p.T.OriginLabel(c.CollectedFrom))
	return all
}

// attributeSources are the fields of Shopify's Customer behind the attributes.
var attributeSources = map[shopifysync.AttributeKey]string{
	shopifysync.AttrOrdersCount:     "numberOfOrders",
	shopifysync.AttrTotalSpent:      "amountSpent",
	shopifysync.AttrNote:            "note",
	shopifysync.AttrEmailConsent:    "emailMarketingConsent",
	shopifysync.AttrSMSConsent:      "smsMarketingConsent",
	shopifysync.AttrWhatsAppConsent: "defaultPhoneNumber.whatsAppMarketingConsent",
}

var maskedAttributes = []struct {
	field shopifysync.FieldSet
	key   shopifysync.AttributeKey
}{
	{shopifysync.FieldOrders, shopifysync.AttrOrdersCount},
	{shopifysync.FieldSpent, shopifysync.AttrTotalSpent},
	{shopifysync.FieldNote, shopifysync.AttrNote},
	{shopifysync.FieldEmailConsent, shopifysync.AttrEmailConsent},
	{shopifysync.FieldSMSConsent, shopifysync.AttrSMSConsent},
}

// live reports whether there is a contact: of one that is gone nothing is to be
// kept anew, least of all of a person who was erased.
func (c *console) live(r *http.Request, id shopifysync.ConnectionID, customer shopifysync.CustomerID) (bool, error) {
	got, err := c.store.Contacts(r.Context(), shopifysync.ContactsParams{Connection: id, IDs: []shopifysync.CustomerID{customer}})
	return len(got.Contacts) == 1 && got.Contacts[0].Removed == "", err
}

// personOf returns the live contact that a form is about.
func (c *console) personOf(r *http.Request) (shopifysync.ConnectionID, shopifysync.CustomerID, error) {
	conn, err := c.storeOf(r)
	if err != nil {
		return "", 0, err
	}
	id, err := customerOf(r)
	if err != nil {
		return "", 0, err
	}
	if live, err := c.live(r, conn.ID, id); err != nil || !live {
		return "", 0, cmp.Or(err, errNotFound)
	}
	return conn.ID, id, nil
}

// agentTags adds or removes a tag of the agents' own: a sync never touches it.
func (c *console) agentTags(w http.ResponseWriter, r *http.Request) error {
	conn, id, err := c.personOf(r)
	if err != nil {
		return err
	}
	if tag := r.PostFormValue("remove"); tag != "" {
		err = c.agents.removeTag(r.Context(), conn, id, tag)
	} else {
		err = c.agents.addTag(r.Context(), conn, id, r.PostFormValue("add"))
	}
	if err != nil {
		return err
	}
	return c.backToPerson(w, r, conn, id)
}

// optOut notes that a person said in a conversation that no marketing is wanted,
// or takes it back.
func (c *console) optOut(w http.ResponseWriter, r *http.Request) error {
	conn, id, err := c.personOf(r)
	if err != nil {
		return err
	}
	if err := c.agents.optOut(r.Context(), conn, id, r.PostFormValue("out") != ""); err != nil {
		return err
	}
	return c.backToPerson(w, r, conn, id)
}

// backToPerson goes back to the conversation or the contact that the form was
// part of.
func (c *console) backToPerson(w http.ResponseWriter, r *http.Request, conn shopifysync.ConnectionID, id shopifysync.CustomerID) error {
	c.signal.tell()
	if strings.HasPrefix(r.PostFormValue("back"), storePath(conn, "/chat?member=")) {
		return seeOther(w, r, storePath(conn, "/chat?member="+id.String()))
	}
	return seeOther(w, r, storePath(conn, "/contacts/"+id.String()))
}
