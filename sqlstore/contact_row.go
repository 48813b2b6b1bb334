package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"github.com/omnichat/shopifysync"
)

// contactColumns are the columns of {contacts} after connection_id, in the
// order of [appendCells] and [scanContact].
var contactColumns = []column{
	{"customer_id", bigint}, {"updated_at", bigint}, {"observed_at", bigint}, {"content_hash", text},
	{"removed", text}, {"merged_into", bigint}, {"masked", bigint},
	{"name", text}, {"first_name", text}, {"last_name", text},
	{"email", text}, {"phone", text}, {"phone_source", text},
	{"whatsapp_account", text}, {"whatsapp_user_id", text}, {"whatsapp_name", text},
	{"tags", jsonb}, {"attributes", jsonb},
	{"orders_count", numeric}, {"total_spent", numeric}, {"total_spent_currency", text},
	{"email_consent", text}, {"sms_consent", text},
}

// storedColumns are how many of them are read back; the rest are derived from
// the attributes, for queries.
const storedColumns = 18

// selectContact begins a query for whole contacts.
var selectContact = func() string {
	names := make([]string, storedColumns)
	for i := range names {
		names[i] = contactColumns[i].name
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM {contacts} "
}()

// appendCells appends the row of a contact.
func appendCells(cells []any, c *shopifysync.Contact, hash string) []any {
	var whatsApp shopifysync.WhatsAppContact
	if c.WhatsApp != nil {
		whatsApp = *c.WhatsApp
	}
	cells = append(cells,
		int64(c.CustomerID), c.Version.UpdatedAt.UnixMilli(), c.Version.ObservedAt.UnixMilli(), hash,
		string(c.Removed), int64(c.MergedInto), int64(c.Masked),
		c.Name, c.FirstName, c.LastName,
		c.Email, c.Phone, string(c.PhoneSource),
		whatsApp.Account, whatsApp.UserID, whatsApp.Name,
		tagsJSON(c.Tags), attributesJSON(c.Attributes))
	var orders, spent any
	var currency, emailConsent, smsConsent string
	for i := range c.Attributes {
		switch a := &c.Attributes[i]; {
		case a.Key == shopifysync.AttrOrdersCount && a.Kind == shopifysync.KindNumber:
			orders = a.Number
		case a.Key == shopifysync.AttrTotalSpent && a.Kind == shopifysync.KindMoney:
			spent, currency = a.Number, a.Currency
		case a.Key == shopifysync.AttrEmailConsent && a.Kind == shopifysync.KindConsent:
			emailConsent = string(a.Consent.State)
		case a.Key == shopifysync.AttrSMSConsent && a.Kind == shopifysync.KindConsent:
			smsConsent = string(a.Consent.State)
		}
	}
	return append(cells, orders, spent, currency, emailConsent, smsConsent)
}

// scanContact reads a row of [selectContact].
func scanContact(rows *sql.Rows, connection shopifysync.ConnectionID) (head, shopifysync.Contact, error) {
	h := head{found: true}
	c := shopifysync.Contact{Connection: connection}
	var whatsApp shopifysync.WhatsAppContact
	var masked int64
	var tags, attributes sql.NullString // MySQL's columns allow NULL, which this package never writes
	err := rows.Scan(
		&h.id, &h.updatedAt, &h.observedAt, &h.hash,
		&h.removed, &h.mergedInto, &masked,
		&c.Name, &c.FirstName, &c.LastName,
		&c.Email, &c.Phone, &c.PhoneSource,
		&whatsApp.Account, &whatsApp.UserID, &whatsApp.Name,
		&tags, &attributes)
	if err != nil {
		return h, c, err
	}
	c.CustomerID, c.Version = h.id, h.version()
	c.Removed, c.MergedInto = h.removed, h.mergedInto
	c.Masked = shopifysync.FieldSet(masked)
	if whatsApp.UserID != "" {
		c.WhatsApp = &whatsApp
	}
	if c.Tags, err = parseTags(tags.String); err != nil {
		return h, c, err
	}
	c.Attributes, err = parseAttributes(attributes.String)
	return h, c, err
}

// stored is a whole contact together with the head of its row.
type stored struct {
	head    head
	contact shopifysync.Contact
}

// load reads whole contacts by id, in ascending order.
func (s *Store) load(ctx context.Context, q querier, connection shopifysync.ConnectionID, ids []shopifysync.CustomerID) ([]stored, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	query, args := s.dialect.bindIDs(
		s.text(selectContact+"WHERE connection_id = ? AND {idsin} ORDER BY customer_id"),
		[]any{string(connection)}, ids)
	return s.queryContacts(ctx, q, connection, query, args)
}

func (s *Store) queryContacts(ctx context.Context, q querier, connection shopifysync.ConnectionID, query string, args []any) ([]stored, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []stored
	for rows.Next() {
		h, c, err := scanContact(rows, connection)
		if err != nil {
			return nil, err
		}
		found = append(found, stored{h, c})
	}
	return found, rows.Err()
}

// contactsOf drops the heads.
func contactsOf(found []stored) []shopifysync.Contact {
	var contacts []shopifysync.Contact
	for i := range found {
		contacts = append(contacts, found[i].contact)
	}
	return contacts
}
