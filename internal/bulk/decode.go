package bulk

import (
	"strconv"
	"sync"

	"github.com/omnichat/shopifysync/internal/adminapi"
	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
)

// Object says what a line holds.
type Object struct {
	// CustomerID is the number at the end of the customer's id, above 0; it is
	// 0 in a child.
	CustomerID int64
	// Child: the object hangs below another one (its __parentId is not null).
	// It counts as an object of the operation, not as a root object.
	Child bool
}

// LineError says why a line is no readable customer. Its text names keys of the
// selection at most, and quotes nothing of the line.
type LineError struct {
	CustomerID int64 // 0 if the line did not tell
	Reason     string
}

func (e *LineError) Error() string { return "bulk: " + e.Reason + ": read the customer by its id" }

// Decode reads one customer, a line of a bulk result or a node of a page, into
// c, whose former content is lost whatever happens. Nothing in c refers to
// line. What a child holds is not read: c is then empty. The error is a
// [*LineError].
//
// It is strict where a mistake would write something wrong: the line is one
// JSON object of exact, case-sensitive keys; the id is
// gid://shopify/Customer/ and a positive number, and there is one only; a time
// is RFC 3339. It is lenient where Shopify has been seen to vary: a null is
// the zero value at any place, a number or boolean that stands for a text is
// taken as it is written, "true" and "false" are booleans too, unknown keys are
// passed over. Of a key that comes twice the last one counts. What is not
// Unicode becomes U+FFFD. Times are in UTC.
func Decode(line []byte, c *v2026_07.Customer) (Object, error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	return d.decode(line, c)
}

// DecodeID reads which object a line holds, with the strictness of [Decode]
// about ids, and passes over everything else.
func DecodeID(line []byte) (Object, error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	return d.decodeID(line)
}

// decoder reads one line. The texts of the line are gathered one behind the
// other and become parts of one string at the end: one allocation for all.
type decoder struct {
	scanner
	object Object
	twoIDs bool
	reason string // the first thing wrong, with keys of our own only

	text  []byte
	texts []target
	tags  []span
}

// span is a part of the gathered text.
type span struct{ from, to int }

// target is a string of the customer and the text it will get.
type target struct {
	field *string
	span
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// release gives d back for the next line, unless this one made it big.
func (d *decoder) release() {
	const big = 64 << 10
	if cap(d.text) > big || cap(d.texts) > big/16 || cap(d.tags) > big/16 {
		return
	}
	d.reset(nil)
	decoders.Put(d)
}

// reset forgets all but the memory.
func (d *decoder) reset(line []byte) {
	clear(d.texts) // they point into the last customer
	*d = decoder{scanner: scanner{data: line}, text: d.text[:0], texts: d.texts[:0], tags: d.tags[:0]}
}

func (d *decoder) decode(line []byte, c *v2026_07.Customer) (Object, error) {
	d.reset(line)
	*c = v2026_07.Customer{}
	d.customer(c)
	d.end()
	object, err := d.result()
	if err != nil || object.Child {
		*c = v2026_07.Customer{}
		return object, err
	}
	d.assign(c)
	return object, nil
}

func (d *decoder) decodeID(line []byte) (Object, error) {
	d.reset(line)
	for d.open('{'); d.more('}'); {
		switch string(d.name()) {
		case "id":
			d.readID(nil)
		case "__parentId":
			d.readParent()
		default:
			d.skip(1)
		}
	}
	d.end()
	return d.result()
}

// result is what the line turned out to be.
func (d *decoder) result() (Object, error) {
	switch {
	case d.bad:
		d.reason = "the line is not one JSON object (byte " + strconv.Itoa(d.pos+1) + ")"
	case d.object.Child:
		return Object{Child: true}, nil
	case d.reason == "" && d.object.CustomerID == 0:
		d.reason = "the customer has no id"
	}
	if d.twoIDs {
		d.object.CustomerID = 0
	}
	if d.reason != "" {
		return Object{}, &LineError{CustomerID: d.object.CustomerID, Reason: d.reason}
	}
	return d.object, nil
}

// wrong notes the first fault of a line and goes on: the id may come later.
func (d *decoder) wrong(reason string) {
	if d.reason == "" {
		d.reason = reason
	}
}

func (d *decoder) customer(c *v2026_07.Customer) {
	for d.open('{'); d.more('}'); {
		switch string(d.name()) {
		case "id":
			d.readID(&c.Id)
		case "__parentId":
			d.readParent()
		case "firstName":
			d.readText(&c.FirstName, "firstName")
		case "lastName":
			d.readText(&c.LastName, "lastName")
		case "email":
			d.readText(&c.Email, "email")
		case "phone":
			d.readText(&c.Phone, "phone")
		case "locale":
			d.readText(&c.Locale, "locale")
		case "note":
			d.readText(&c.Note, "note")
		case "tags":
			d.readTags(c)
		case "state":
			d.readText((*string)(&c.State), "state")
		case "verifiedEmail":
			d.readBool(&c.VerifiedEmail, "verifiedEmail")
		case "numberOfOrders":
			d.readNumber(&c.NumberOfOrders, "numberOfOrders")
		case "amountSpent":
			d.readMoney(&c.AmountSpent, "amountSpent")
		case "createdAt":
			d.readTime(&c.CreatedAt, "createdAt")
		case "updatedAt":
			d.readTime(&c.UpdatedAt, "updatedAt")
		case "emailMarketingConsent":
			c.EmailMarketingConsent = d.emailConsent("emailMarketingConsent")
		case "smsMarketingConsent":
			c.SmsMarketingConsent = d.smsConsent("smsMarketingConsent")
		case "defaultAddress":
			c.DefaultAddress = d.address("defaultAddress")
		case "defaultPhoneNumber":
			c.DefaultPhoneNumber = d.phoneNumber("defaultPhoneNumber")
		default:
			d.skip(1)
		}
	}
}

func (d *decoder) readMoney(m *adminapi.Money, key string) {
	*m = adminapi.Money{}
	d.set((*string)(&m.Amount), span{})
	d.set(&m.CurrencyCode, span{})
	if !d.isObject(key) {
		return
	}
	for d.open('{'); d.more('}'); {
		switch string(d.name()) {
		case "amount":
			d.readNumber(&m.Amount, "amountSpent.amount")
		case "currencyCode":
			d.readText(&m.CurrencyCode, "amountSpent.currencyCode")
		default:
			d.skip(2)
		}
	}
}

func (d *decoder) emailConsent(key string) *adminapi.EmailConsent {
	if !d.isObject(key) {
		return nil
	}
	v := new(adminapi.EmailConsent)
	for d.open('{'); d.more('}'); {
		switch string(d.name()) {
		case "marketingState":
			d.readText((*string)(&v.MarketingState), "emailMarketingConsent.marketingState")
		case "marketingOptInLevel":
			d.readText((*string)(&v.MarketingOptInLevel), "emailMarketingConsent.marketingOptInLevel")
		case "consentUpdatedAt":
			d.readTime(&v.ConsentUpdatedAt, "emailMarketingConsent.consentUpdatedAt")
		default:
			d.skip(2)
		}
	}
	return v
}

func (d *decoder) smsConsent(key string) *adminapi.SMSConsent {
	if !d.isObject(key) {
		return nil
	}
	v := new(adminapi.SMSConsent)
	for d.open('{'); d.more('}'); {
		switch string(d.name()) {
		case "marketingState":
			d.readText((*string)(&v.MarketingState), "smsMarketingConsent.marketingState")
		case "marketingOptInLevel":
			d.readText((*string)(&v.MarketingOptInLevel), "smsMarketingConsent.marketingOptInLevel")
		case "consentUpdatedAt":
			d.readTime(&v.ConsentUpdatedAt, "smsMarketingConsent.consentUpdatedAt")
		case "consentCollectedFrom":
			d.readText((*string)(&v.ConsentCollectedFrom), "smsMarketingConsent.consentCollectedFrom")
		default:
			d.skip(2)
		}
	}
	return v
}

func (d *decoder) phoneNumber(key string) *v2026_07.PhoneNumber {
	if !d.isObject(key) {
		return nil
	}
	v := new(v2026_07.PhoneNumber)
	for d.open('{'); d.more('}'); {
		switch string(d.name()) {
		case "whatsAppMarketingConsent":
			d.readWhatsAppConsent(&v.WhatsAppMarketingConsent, "defaultPhoneNumber.whatsAppMarketingConsent")
		default:
			d.skip(2)
		}
	}
	return v
}

func (d *decoder) readWhatsAppConsent(v *v2026_07.WhatsAppConsent, key string) {
	*v = v2026_07.WhatsAppConsent{}
	for _, field := range []*string{&v.State, &v.OptInLevel, &v.CollectedFrom} {
		d.set(field, span{})
	}
	if !d.isObject(key) {
		return
	}
	for d.open('{'); d.more('}'); {
		switch string(d.name()) {
		case "state":
			d.readText(&v.State, "whatsAppMarketingConsent.state")
		case "optInLevel":
			d.readText(&v.OptInLevel, "whatsAppMarketingConsent.optInLevel")
		case "updatedAt":
			d.readTime(&v.UpdatedAt, "whatsAppMarketingConsent.updatedAt")
		case "collectedFrom":
			d.readText(&v.CollectedFrom, "whatsAppMarketingConsent.collectedFrom")
		default:
			d.skip(3)
		}
	}
}

func (d *decoder) address(key string) *adminapi.Address {
	if !d.isObject(key) {
		return nil
	}
	v := new(adminapi.Address)
	for d.open('{'); d.more('}'); {
		switch string(d.name()) {
		case "address1":
			d.readText(&v.Address1, "defaultAddress.address1")
		case "address2":
			d.readText(&v.Address2, "defaultAddress.address2")
		case "city":
			d.readText(&v.City, "defaultAddress.city")
		case "province":
			d.readText(&v.Province, "defaultAddress.province")
		case "zip":
			d.readText(&v.Zip, "defaultAddress.zip")
		case "countryCodeV2":
			d.readText(&v.CountryCodeV2, "defaultAddress.countryCodeV2")
		case "phone":
			d.readText(&v.Phone, "defaultAddress.phone")
		default:
			d.skip(2)
		}
	}
	return v
}
