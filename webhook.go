package shopifysync

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrInvalidSignature: the webhook's signature does not match its body and
	// any of the secrets, or there is none of either.
	ErrInvalidSignature = errors.New("the webhook is not signed with the connection's client secret: check that ClientSecret is this app's API secret key, and that nothing between Shopify and the handler changes the body")
	// ErrInvalidWebhook: the webhook is signed, but its body is not what its
	// topic sends. Trying again does not help.
	ErrInvalidWebhook = errors.New("the webhook's body does not fit its topic")
)

// An Event is what a webhook says: that something happened to a customer, not
// what the customer is like now. Fetch that from Shopify.
//
// Only the body of a delivery is signed. Topic, DeliveryID, EventID,
// APIVersion, Shop and TriggeredAt are from unsigned headers, and a genuine
// body may be an old one sent again: take all of it for a hint.
//
// No field shows personal data in a log. To queue a delivery, keep its header
// and body and parse them again; an Event that went through JSON has lost the
// person of a privacy request, and says so when it is read back.
type Event struct {
	Topic      string // such as "customers/update"
	DeliveryID string // X-Shopify-Webhook-Id: the same for every attempt of one delivery
	EventID    string // X-Shopify-Event-Id: shared by all deliveries of one merchant's action
	APIVersion string // the version of the payload
	Shop       Shop   // empty if the header holds no myshopify.com host
	// TriggeredAt is when it happened; zero if the header does not say.
	TriggeredAt time.Time

	// Customers are the customers to fetch anew. After a merge they are both
	// of the pair. Topics that this library does not know have none.
	Customers []CustomerID
	// UpdatedAt is the customer's updated_at in the body: an older observation
	// does not show this change yet. Zero in topics that do not send it.
	UpdatedAt time.Time
	// MergedInto is the survivor, with topic customers/merge unless the merge failed.
	MergedInto CustomerID
	// Status is how a merge (customers/merge) ended, such as "failed".
	Status string
	// Privacy is set with the topics customers/data_request, customers/redact
	// and shop/redact.
	Privacy *PrivacyRequest
}

// A PrivacyRequest is what a privacy topic asks for, all of it from the signed
// body. See Shopify's "Privacy law compliance". The person is named by
// [Event.Customers], Email and Phone: a record may hold only an e-mail.
type PrivacyRequest struct {
	ShopID        int64  // the number in the shop's global id
	ShopDomain    Shop   // compare it with the connection's
	DataRequestID int64  // with customers/data_request
	Email         Secret // Reveal it to look the person up; it does not print
	Phone         Secret
}

// ParseWebhook verifies a delivery and reads it. The body must be the raw
// bytes received. The header may have either of Shopify's spellings,
// X-Shopify-Topic or Shopify-Topic.
//
// The signature, base64 of HMAC-SHA256 over the body with the app's client
// secret, must match one of the secrets; after a rotation Shopify goes on
// signing with the old one for up to an hour. Empty secrets never match. Until
// it is verified nothing of the body is read, and the error matches
// [ErrInvalidSignature]. A body that is not what its topic sends gives an
// error that matches [ErrInvalidWebhook]. Unknown topics are no error. No error
// holds anything of the body or the signature.
//
// It understands the payloads of API 2024-04 and later. It holds no memory
// that grows with the body, and keeps none of it.
func ParseWebhook(header http.Header, body []byte, secrets ...Secret) (Event, error) {
	signature := cmp.Or(header.Get("X-Shopify-Hmac-Sha256"), header.Get("Shopify-Hmac-Sha256"))
	if err := verifyWebhook(signature, body, secrets); err != nil {
		return Event{}, err
	}
	ev := webhookHints(header)
	if ev.Topic == "" {
		return Event{}, invalidWebhook("it has no X-Shopify-Topic header")
	}
	read, known := webhookReaders[ev.Topic]
	if !known {
		return ev, nil
	}
	object := jsonValue(body)
	if !json.Valid(body) || object.kind() != '{' {
		return Event{}, invalidWebhook("it is not a JSON object")
	}
	if err := read(&ev, object); err != nil {
		return Event{}, err
	}
	return ev, nil
}

// webhookHints reads the headers, none of which is signed. What cannot be read
// is left out.
func webhookHints(header http.Header) Event {
	ev := Event{
		Topic:      cmp.Or(header.Get("X-Shopify-Topic"), header.Get("Shopify-Topic")),
		DeliveryID: cmp.Or(header.Get("X-Shopify-Webhook-Id"), header.Get("Shopify-Webhook-Id")),
		EventID:    cmp.Or(header.Get("X-Shopify-Event-Id"), header.Get("Shopify-Event-Id")),
		APIVersion: cmp.Or(header.Get("X-Shopify-Api-Version"), header.Get("Shopify-Api-Version")),
	}
	ev.Shop, _ = ParseShop(cmp.Or(header.Get("X-Shopify-Shop-Domain"), header.Get("Shopify-Shop-Domain")))
	ev.TriggeredAt, _ = time.Parse(time.RFC3339, cmp.Or(header.Get("X-Shopify-Triggered-At"), header.Get("Shopify-Triggered-At")))
	ev.TriggeredAt = ev.TriggeredAt.UTC()
	return ev
}

func verifyWebhook(signature string, body []byte, secrets []Secret) error {
	if !slices.ContainsFunc(secrets, func(s Secret) bool { return !s.IsZero() }) {
		return fmt.Errorf("%w (there is no client secret to check it with)", ErrInvalidSignature)
	}
	if signature == "" {
		return fmt.Errorf("%w (it has no X-Shopify-Hmac-Sha256 header)", ErrInvalidSignature)
	}
	given, err := base64.StdEncoding.Strict().AppendDecode(make([]byte, 0, 2*sha256.Size), []byte(signature))
	if err != nil {
		return ErrInvalidSignature
	}
	for _, secret := range secrets {
		if secret.IsZero() {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), given) {
			return nil
		}
	}
	return ErrInvalidSignature
}

// webhookReaders read the bodies of the topics that matter to customers, as
// Shopify's webhook reference shows them.
var webhookReaders = map[string]func(*Event, jsonValue) error{
	"customers/create":                             customerUnder("id"),
	"customers/update":                             customerUnder("id"),
	"customers/enable":                             customerUnder("id"),
	"customers/disable":                            customerUnder("id"),
	"customers/delete":                             customerUnder("id"),
	"customers_marketing_consent/update":           customerUnder("id"), // SMS
	"customers_email_marketing_consent/update":     customerUnder("customer_id"),
	"customers_whats_app_marketing_consent/update": customerUnder("customer_id"),
	"customers/purchasing_summary":                 customerUnder("customerId"),
	"customer.tags_added":                          customerUnder("customerId"),
	"customer.tags_removed":                        customerUnder("customerId"),
	"customers/merge":                              (*Event).readMerge,
	"customers/data_request":                       (*Event).readDataRequest,
	"customers/redact":                             (*Event).readCustomerRedact,
	"shop/redact":                                  (*Event).readShopRedact,
}

// customerUnder reads a body about the one customer whose id has that key.
func customerUnder(idKey string) func(*Event, jsonValue) error {
	return func(ev *Event, body jsonValue) error {
		id, err := body.member(idKey).customerID()
		if err != nil {
			return err
		}
		if id == 0 {
			return invalidWebhook("it names no customer")
		}
		updated, err := body.member("updated_at").text()
		if err != nil {
			return err
		}
		// Without a time that can be read, any observation will do.
		at, _ := time.Parse(time.RFC3339, updated)
		ev.Customers, ev.UpdatedAt = []CustomerID{id}, at.UTC()
		return nil
	}
}

func (ev *Event) readMerge(body jsonValue) error {
	deleted, err := body.member("admin_graphql_api_customer_deleted_id").customerID()
	if err != nil {
		return err
	}
	kept, err := body.member("admin_graphql_api_customer_kept_id").customerID()
	if err != nil {
		return err
	}
	if deleted == 0 || kept == 0 || deleted == kept {
		return invalidWebhook("it does not name two customers")
	}
	if ev.Status, err = body.member("status").text(); err != nil {
		return err
	}
	ev.Customers = []CustomerID{deleted, kept}
	if ev.Status != "failed" {
		ev.MergedInto = kept
	}
	return nil
}

// A body of one privacy topic must not pass for another's when the unsigned
// topic is changed, so each is asked for what only it has.

func (ev *Event) readDataRequest(body jsonValue) error {
	request := body.member("data_request")
	if request.kind() != '{' {
		return invalidWebhook("it has no data_request")
	}
	id, err := request.member("id").int()
	if err != nil {
		return err
	}
	if err := ev.readPrivacy(body); err != nil {
		return err
	}
	ev.Privacy.DataRequestID = id
	return ev.readPerson(body)
}

func (ev *Event) readCustomerRedact(body jsonValue) error {
	if body.member("orders_to_redact").kind() != '[' {
		return invalidWebhook("it has no orders_to_redact")
	}
	if err := ev.readPrivacy(body); err != nil {
		return err
	}
	return ev.readPerson(body)
}

func (ev *Event) readShopRedact(body jsonValue) error {
	for key := range body.members() {
		if k := string(key); k != "shop_id" && k != "shop_domain" {
			return invalidWebhook("it has more than shop_id and shop_domain")
		}
	}
	return ev.readPrivacy(body)
}

// readPrivacy reads what every privacy topic has: the shop.
func (ev *Event) readPrivacy(body jsonValue) error {
	id, err := body.member("shop_id").int()
	if err != nil {
		return err
	}
	domain, err := body.member("shop_domain").text()
	if err != nil {
		return err
	}
	shop, err := ParseShop(domain)
	if err != nil || id == 0 {
		return invalidWebhook("it names no shop")
	}
	ev.Privacy = &PrivacyRequest{ShopID: id, ShopDomain: shop}
	return nil
}

// readPerson reads whom a privacy request is about.
func (ev *Event) readPerson(body jsonValue) error {
	customer := body.member("customer")
	if customer.kind() != '{' {
		return invalidWebhook("it names no customer")
	}
	id, err := customer.member("id").customerID()
	if err != nil {
		return err
	}
	email, err := customer.member("email").text()
	if err != nil {
		return err
	}
	phone, err := customer.member("phone").text()
	if err != nil {
		return err
	}
	ev.Privacy.Email, ev.Privacy.Phone = NewSecret(email), NewSecret(phone)
	if id != 0 {
		ev.Customers = []CustomerID{id}
	} else if ev.Privacy.Email.IsZero() && ev.Privacy.Phone.IsZero() {
		return invalidWebhook("it names no customer")
	}
	return nil
}

func invalidWebhook(why string) error { return fmt.Errorf("%w: %s", ErrInvalidWebhook, why) }

// A jsonValue is JSON that [json.Valid] has accepted, which also bounds its
// depth; nil is a value that is not there. It is looked into in place, because
// encoding/json would match keys in any case ({"id":1,"ID":2} has the id 2), or
// copy all of the body for those who want to see the keys themselves.
type jsonValue []byte

// kind returns the value's first byte, 0 if it is not there.
func (v jsonValue) kind() byte {
	v = bytes.TrimLeft(v, " \t\r\n")
	if len(v) == 0 {
		return 0
	}
	return v[0]
}

// text returns a string, or the digits of a number, which a float64 would
// round. What is not there, or null, is empty.
func (v jsonValue) text() (string, error) {
	switch kind := v.kind(); {
	case kind == 0 || kind == 'n':
		return "", nil
	case kind == '-' || kind >= '0' && kind <= '9':
		return string(v), nil
	case kind != '"':
		return "", invalidWebhook("a text or number is of another type")
	}
	if inner := v[1 : len(v)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return strings.ToValidUTF8(string(inner), "\uFFFD"), nil // as encoding/json has it
	}
	var text string
	if err := json.Unmarshal(v, &text); err != nil || strings.ContainsRune(text, 0) {
		return "", invalidWebhook("a text is malformed")
	}
	return text, nil
}

// customerID returns a customer's id, sent as a number, as its digits or as a
// global id. What is not there, or null, is 0.
func (v jsonValue) customerID() (CustomerID, error) {
	text, err := v.text()
	if err != nil || text == "" {
		return 0, err
	}
	id, err := ParseCustomerID(text)
	if err != nil {
		return 0, invalidWebhook("a customer id is malformed")
	}
	return id, nil
}

// int returns another id, sent as a number or as its digits. What is not
// there, or null, is 0.
func (v jsonValue) int() (int64, error) {
	text, err := v.text()
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0, invalidWebhook("an id is malformed")
	}
	return n, nil
}

// member returns the value of an object's first member of exactly that key.
func (v jsonValue) member(key string) jsonValue {
	for k, value := range v.members() {
		if string(k) == key {
			return value
		}
	}
	return nil
}

// members returns the members of an object: each key as it stands between its
// quotes, and its value.
func (v jsonValue) members() iter.Seq2[[]byte, jsonValue] {
	return func(yield func(key []byte, value jsonValue) bool) {
		rest := bytes.TrimLeft(v, " \t\r\n")[1:]
		for {
			rest = bytes.TrimLeft(rest, " \t\r\n,")
			if rest[0] == '}' {
				return
			}
			key := rest[:valueLen(rest)]
			rest = bytes.TrimLeft(rest[len(key):], " \t\r\n:")
			value := rest[:valueLen(rest)]
			rest = rest[len(value):]
			if !yield(key[1:len(key)-1], value) {
				return
			}
		}
	}
}

// valueLen returns the length of the value that b begins with.
func valueLen(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
			continue
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '}', ']':
			if depth == 0 {
				return i // of what the scalar stands in
			}
			depth--
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(b)
}
