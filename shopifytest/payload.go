package shopifytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bodies of webhooks. The REST shapes and the camel case of the newer
// topics are Shopify's: https://shopify.dev/docs/api/webhooks

// object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements [json.Marshaler].
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// only keeps the members that a subscription's includeFields name.
func (o object) only(fields []string) object {
	if len(fields) == 0 {
		return o
	}
	var kept object
	for _, m := range o {
		if slices.Contains(fields, m.name) {
			kept = append(kept, m)
		}
	}
	return kept
}

// event is something that webhooks tell.
type event struct {
	topic string
	body  func(version string, cfg *StoreConfig) object
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func timeOrNull(t time.Time, zone *time.Location) any {
	if t.IsZero() {
		return nil
	}
	return t.In(zone).Format(time.RFC3339)
}

func gidOf(kind string, id int64) string { return fmt.Sprintf("gid://shopify/%s/%d", kind, id) }

// customerID is an id where Shopify documents a number.
func (c *StoreConfig) customerID(id int64) any {
	if c.GlobalIDs {
		return gidOf("Customer", id)
	}
	return id
}

// customerEvent is any of the topics with a customer in REST's shape.
func customerEvent(topic string, c *Customer) event {
	return event{topic, func(version string, cfg *StoreConfig) object { return customerObject(c, version, cfg) }}
}

func customerObject(c *Customer, version string, cfg *StoreConfig) object {
	zone, access := cfg.location(), cfg.access()
	open := func(field string, value any) any {
		if access.denies(field) || access.level == NoCustomerData {
			return nil
		}
		return value
	}
	address := addressObject(c, access)
	addresses := []any{}
	if address != nil {
		addresses = append(addresses, address)
	}
	o := object{
		{"id", cfg.customerID(c.ID)},
		{"email", open("email", orNull(c.Email))},
		{"created_at", timeOrNull(c.CreatedAt, zone)},
		{"updated_at", timeOrNull(c.UpdatedAt, zone)},
		{"first_name", open("firstName", orNull(c.FirstName))},
		{"last_name", open("lastName", orNull(c.LastName))},
		{"state", strings.ToLower(c.State)},
		{"note", orNull(c.Note)},
		{"verified_email", c.VerifiedEmail},
		{"multipass_identifier", nil},
		{"tax_exempt", false},
		{"phone", open("phone", orNull(c.Phone))},
		{"currency", c.AmountSpent.Currency},
		{"addresses", addresses},
		{"tax_exemptions", []string{}},
		{"admin_graphql_api_id", gidOf("Customer", c.ID)},
		{"default_address", address},
	}
	if version < "2025-01" { // removed from every customers/* payload then
		o = append(o,
			member{"orders_count", c.NumberOfOrders},
			member{"total_spent", twoDecimals(c.AmountSpent.Amount)},
			member{"last_order_id", nil},
			member{"last_order_name", nil},
			member{"tags", strings.Join(c.Tags, ", ")},
			member{"email_marketing_consent", emailConsentObject(c, zone)},
			member{"sms_marketing_consent", smsConsentObject(c, zone)},
		)
	}
	return o
}

func twoDecimals(amount string) string {
	if f, err := strconv.ParseFloat(amount, 64); err == nil {
		return strconv.FormatFloat(f, 'f', 2, 64)
	}
	return amount
}

func addressObject(c *Customer, access dataAccess) any {
	a := c.DefaultAddress
	if a == nil || access.denies("defaultAddress") || access.level == NoCustomerData {
		return nil
	}
	name := strings.TrimSpace(c.FirstName + " " + c.LastName)
	return object{
		{"id", c.ID + 1},
		{"customer_id", c.ID},
		{"first_name", orNull(c.FirstName)},
		{"last_name", orNull(c.LastName)},
		{"company", nil},
		{"address1", orNull(a.Address1)},
		{"address2", orNull(a.Address2)},
		{"city", orNull(a.City)},
		{"province", orNull(a.Province)},
		{"country", orNull(a.CountryCode)},
		{"zip", orNull(a.Zip)},
		{"phone", orNull(a.Phone)},
		{"name", name},
		{"province_code", nil},
		{"country_code", orNull(a.CountryCode)},
		{"country_name", orNull(a.CountryCode)},
		{"default", true},
	}
}

func emailConsentObject(c *Customer, zone *time.Location) any {
	if c.EmailConsent == nil {
		return nil
	}
	return object{
		{"state", strings.ToLower(c.EmailConsent.State)},
		{"opt_in_level", orNull(strings.ToLower(c.EmailConsent.Level))},
		{"consent_updated_at", timeOrNull(c.EmailConsent.UpdatedAt, zone)},
	}
}

func smsConsentObject(c *Customer, zone *time.Location) any {
	if c.SMSConsent == nil {
		return nil
	}
	return object{
		{"state", strings.ToLower(c.SMSConsent.State)},
		{"opt_in_level", orNull(strings.ToLower(c.SMSConsent.Level))},
		{"consent_updated_at", timeOrNull(c.SMSConsent.UpdatedAt, zone)},
		{"consent_collected_from", orNull(c.SMSConsent.CollectedFrom)},
	}
}

// changeEvents are the topics that fit an edit.
func changeEvents(before, after *Customer) []event {
	events := []event{customerEvent("customers/update", after)}
	if before.State != after.State && after.State == "ENABLED" {
		events = append(events, customerEvent("customers/enable", after))
	}
	if before.State != after.State && after.State == "DISABLED" {
		events = append(events, customerEvent("customers/disable", after))
	}
	if e := after.EmailConsent; e != nil && (before.EmailConsent == nil || *before.EmailConsent != *e) {
		events = append(events, emailConsentEvent(after))
	}
	if e := after.SMSConsent; e != nil && (before.SMSConsent == nil || *before.SMSConsent != *e) {
		events = append(events, smsConsentEvent(after))
	}
	if e := after.WhatsAppConsent; e != nil && (before.WhatsAppConsent == nil || *before.WhatsAppConsent != *e) {
		events = append(events, whatsAppConsentEvent(after))
	}
	return append(events, tagEvents(after.ID, before.Tags, after.Tags)...)
}

func emailConsentEvent(c *Customer) event {
	return event{"customers_email_marketing_consent/update", func(_ string, cfg *StoreConfig) object {
		return object{
			{"customer_id", cfg.customerID(c.ID)},
			{"email_address", orNull(c.Email)},
			{"email_marketing_consent", emailConsentObject(c, cfg.location())},
		}
	}}
}

func smsConsentEvent(c *Customer) event {
	return event{"customers_marketing_consent/update", func(_ string, cfg *StoreConfig) object {
		return object{
			{"id", cfg.customerID(c.ID)},
			{"phone", orNull(c.Phone)},
			{"sms_marketing_consent", smsConsentObject(c, cfg.location())},
		}
	}}
}

func whatsAppConsentEvent(c *Customer) event {
	return event{"customers_whats_app_marketing_consent/update", func(_ string, cfg *StoreConfig) object {
		var consent any
		if w := c.WhatsAppConsent; w != nil {
			consent = object{
				{"state", strings.ToLower(w.State)},
				{"opt_in_level", orNull(strings.ToLower(w.Level))},
				{"updated_at", timeOrNull(w.UpdatedAt, cfg.location())},
				{"collected_from", orNull(w.CollectedFrom)},
			}
		}
		return object{
			{"customer_id", cfg.customerID(c.ID)},
			{"phone_number", orNull(c.Phone)},
			{"whats_app_marketing_consent", consent},
		}
	}}
}

func tagEvents(id int64, before, after []string) []event {
	var events []event
	for _, change := range []struct {
		topic    string
		from, to []string
	}{
		{"customer.tags_added", before, after},
		{"customer.tags_removed", after, before},
	} {
		var tags []string
		for _, tag := range change.to {
			if !slices.Contains(change.from, tag) {
				tags = append(tags, tag)
			}
		}
		if len(tags) > 0 {
			events = append(events, tagEvent(change.topic, id, tags))
		}
	}
	return events
}

func tagEvent(topic string, id int64, tags []string) event {
	return event{topic, func(_ string, _ *StoreConfig) object {
		return object{{"customerId", gidOf("Customer", id)}, {"tags", tags}, {"occurredAt", occurredAt{}}}
	}}
}

// occurredAt stands for the time of the event, which emit fills in.
type occurredAt struct{}

func purchaseEvent(c *Customer) event {
	return event{"customers/purchasing_summary", func(_ string, _ *StoreConfig) object {
		return object{
			{"customerId", gidOf("Customer", c.ID)},
			{"numberOfOrders", c.NumberOfOrders},
			{"amountSpent", object{{"amount", c.AmountSpent.Amount}, {"currencyCode", c.AmountSpent.Currency}}},
			{"lastOrderId", gidOf("Order", c.ID+int64(c.NumberOfOrders))},
			{"occurredAt", occurredAt{}},
		}
	}}
}

func deleteEvent(c *Customer) event {
	return event{"customers/delete", func(_ string, cfg *StoreConfig) object {
		return object{{"id", cfg.customerID(c.ID)}, {"tax_exemptions", []string{}}, {"admin_graphql_api_id", gidOf("Customer", c.ID)}}
	}}
}

// mergeEvent is a merge in a status: completed, failed, in_progress or
// requested. Shopify tells of one that failed too.
func mergeEvent(kept, gone int64, status string) event {
	return event{"customers/merge", func(_ string, _ *StoreConfig) object {
		errors := []any{}
		if strings.EqualFold(status, "failed") {
			errors = append(errors, object{
				{"customer_ids", []int64{gone}},
				{"field", "merge_in_progress"},
				{"message", "Customer is currently being merged."},
			})
		}
		return object{
			{"admin_graphql_api_customer_kept_id", gidOf("Customer", kept)},
			{"admin_graphql_api_customer_deleted_id", gidOf("Customer", gone)},
			{"admin_graphql_api_job_id", nil},
			{"status", status},
			{"errors", errors},
		}
	}}
}

// scopesEvent tells that the app may do other things than before.
func scopesEvent(previous, current []string) event {
	return event{"app/scopes_update", func(_ string, cfg *StoreConfig) object {
		return object{
			{"id", cfg.ShopID + 1}, // of the installation
			{"shop_id", gidOf("Shop", cfg.ShopID)},
			{"previous", previous},
			{"current", current},
			{"updated_at", occurredAt{}},
		}
	}}
}

func bulkFinishEvent(v *bulkView) event {
	return event{"bulk_operations/finish", func(_ string, cfg *StoreConfig) object {
		return object{
			{"admin_graphql_api_id", gidOf("BulkOperation", v.id)},
			{"completed_at", timeOrNull(v.completedAt, cfg.location())},
			{"created_at", timeOrNull(v.createdAt, cfg.location())},
			{"error_code", orNull(strings.ToLower(v.errorCode))},
			{"status", strings.ToLower(v.status)},
			{"type", "query"},
		}
	}}
}

// shopEvent is app/uninstalled or shop/update.
func shopEvent(topic string) event {
	return event{topic, func(_ string, cfg *StoreConfig) object {
		return object{
			{"id", cfg.ShopID},
			{"name", cfg.Name},
			{"email", "owner@example.com"},
			{"domain", nil},
			{"currency", cfg.Currency},
			{"iana_timezone", cfg.TimeZone},
			{"plan_name", strings.ToLower(cfg.Plan)},
			{"plan_display_name", cfg.Plan},
			{"myshopify_domain", nil}, // as in Shopify's own sample
		}
	}}
}

// privacyEvent is one of the topics that privacy law asks for.
func privacyEvent(topic string, c *Customer, requestID int64) (event, bool) {
	if (topic == "shop/redact") != (c == nil) || !slices.Contains(privacyTopics, topic) {
		return event{}, false
	}
	return event{topic, func(_ string, cfg *StoreConfig) object {
		o := object{{"shop_id", cfg.ShopID}, {"shop_domain", cfg.Domain}}
		if c == nil {
			return o
		}
		person := object{{"id", cfg.customerID(c.ID)}, {"email", orNull(c.Email)}, {"phone", orNull(c.Phone)}}
		if topic == "customers/redact" {
			return append(o, member{"customer", person}, member{"orders_to_redact", []int64{}})
		}
		return append(o, member{"orders_requested", []int64{}}, member{"customer", person}, member{"data_request", object{{"id", requestID}}})
	}}, true
}
