package shopifytest

import (
	"math/bits"
	"strconv"
	"time"
)

// segment is a run of generated customers. Each is a function of the seed and
// its index, so none is kept.
type segment struct {
	seed       uint64
	n          int
	first      int64 // ids start here
	from, to   int64 // Unix seconds between which the customers came
	currencies []string
	noRedacted bool
}

// idStride is the distance between generated ids, of which a part is random,
// so that ids ascend with gaps.
const idStride = 4096

func (s *segment) id(i int) int64 {
	return s.first + int64(i)*idStride + int64(s.random(i, 1)%(idStride-1))
}

func (s *segment) index(id int64) (int, bool) {
	if id < s.first {
		return 0, false
	}
	i := int((id - s.first) / idStride)
	return i, i < s.n && s.id(i) == id
}

// times returns when customer i was created and last updated, in Unix seconds.
func (s *segment) times(i int) (created, updated int64) {
	r := source(s.random(i, 2))
	width := float64(s.to-s.from) / float64(s.n)
	created = s.from + int64(width*(float64(i)+r.fraction()))
	if r.chance(30) {
		return created, created
	}
	return created, created + int64(float64(s.to-created)*r.fraction())
}

// random returns a number that depends on the seed, the index and the purpose
// alone.
func (s *segment) random(i int, purpose uint64) uint64 {
	return mix(mix(s.seed+purpose) + uint64(i))
}

// mix is the finalizer of SplitMix64.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// source is a small generator of random numbers.
type source uint64

func (r *source) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return mix(uint64(*r))
}

// below returns a number in [0, n).
func (r *source) below(n int) int {
	high, _ := bits.Mul64(r.next(), uint64(n))
	return int(high)
}

// between returns a number in [low, high].
func (r *source) between(low, high int) int { return low + r.below(high-low+1) }

// chance is true in percent of all cases.
func (r *source) chance(percent int) bool { return r.below(100) < percent }

func (r *source) fraction() float64 { return float64(r.next()>>11) / (1 << 53) }

func pick[T any](r *source, from []T) T { return from[r.below(len(from))] }

// customer makes customer i.
func (s *segment) customer(i int) *Customer {
	// One allocation for the customer and its parts.
	made := &struct {
		Customer
		email   EmailConsent
		sms     SMSConsent
		chat    WhatsAppConsent
		address Address
	}{}
	c := &made.Customer
	r := source(s.random(i, 3))
	c.ID = s.id(i)
	created, updated := s.times(i)
	c.CreatedAt, c.UpdatedAt = time.Unix(created, 0).UTC(), time.Unix(updated, 0).UTC()

	place := &homes[r.weighted(placeWeights)]
	c.Locale = place.locale
	s.name(c, &r, place)
	s.contact(c, &r, place, i)
	s.history(c, &r)
	c.Tags = someTags(&r)
	c.Note = someNote(&r)
	if c.Email != "" {
		made.email = someEmailConsent(&r, updated)
		if s.noRedacted && made.email.State == "REDACTED" {
			made.email.State = "UNSUBSCRIBED"
		}
		c.EmailConsent = &made.email
	}
	if c.Phone != "" {
		made.sms = someSMSConsent(&r, updated)
		if s.noRedacted && made.sms.State == "REDACTED" {
			made.sms.State = "UNSUBSCRIBED"
		}
		c.SMSConsent = &made.sms
		// Its own numbers, so that everything else about a customer of a seed
		// stays what it was before there was such a consent.
		chat := source(s.random(i, 4))
		made.chat = someWhatsAppConsent(&chat, updated)
		if made.sms.State == "REDACTED" { // a person is redacted as a whole
			made.chat.State = "REDACTED"
		} else if made.chat.State == "REDACTED" {
			made.chat.State = "UNSUBSCRIBED"
		}
		c.WhatsAppConsent = &made.chat
	}
	if r.chance(40) {
		made.address = someAddress(&r, place)
		c.DefaultAddress = &made.address
	}
	return c
}

// weighted returns an index of the list with the chance its weight gives.
func (r *source) weighted(weights []int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	n := r.below(total)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	return 0
}

func (s *segment) name(c *Customer, r *source, place *place) {
	switch n := r.below(100); {
	case n < 4: // no name at all
	case n < 8:
		c.FirstName = pick(r, place.first)
	case n < 11:
		c.LastName = pick(r, place.last)
	case n < 12:
		c.FirstName = pick(r, emojiNames)
	default:
		c.FirstName, c.LastName = pick(r, place.first), pick(r, place.last)
	}
}

func (s *segment) contact(c *Customer, r *source, place *place, i int) {
	if r.chance(92) {
		buf := make([]byte, 0, 48)
		buf = append(buf, pick(r, emailNames)...)
		buf = strconv.AppendInt(buf, int64(i), 10)
		buf = append(buf, pick(r, emailHosts)...)
		c.Email = string(buf)
		c.VerifiedEmail = r.chance(80)
	}
	if r.chance(65) {
		c.Phone = somePhone(r, place)
	}
}

// somePhone returns a number mostly in E.164, else as people write it.
func somePhone(r *source, place *place) string {
	style := r.below(100)
	switch {
	case style < 88:
		return digits(r, place.mobile)
	case style < 92:
		return digits(r, place.national)
	case style < 95:
		return digits(r, place.landline)
	case style < 98:
		return digits(r, place.spaced)
	}
	return pick(r, oddPhones)
}

// digits replaces every # of the pattern by a digit.
func digits(r *source, pattern string) string {
	buf := []byte(pattern)
	n := r.next()
	for i, b := range buf {
		if b == '#' {
			buf[i] = byte('0' + n%10)
			n /= 10
		}
	}
	return string(buf)
}

// history is what the customer did: account, orders, spend.
func (s *segment) history(c *Customer, r *source) {
	c.State = customerStates[r.weighted(customerStateWeights)]
	c.AmountSpent = Money{Amount: "0.0", Currency: s.currencies[0]}
	if len(s.currencies) > 1 && r.chance(10) {
		c.AmountSpent.Currency = pick(r, s.currencies)
	}
	if r.chance(55) {
		c.NumberOfOrders = uint64(1 + r.below(1+r.below(40)))
		cents := c.NumberOfOrders * uint64(r.between(500, 500_000)) / 10 * 10
		buf := strconv.AppendUint(make([]byte, 0, 16), cents/100, 10)
		buf = append(buf, '.')
		buf = append(buf, byte('0'+cents/10%10))
		c.AmountSpent.Amount = string(buf)
	}
}

// someTags returns a window of the list of all tags, so that it needs no
// memory of its own and no tag comes twice.
func someTags(r *source) []string {
	n := 0
	switch style := r.below(1000); {
	case style < 450:
	case style < 880:
		n = r.between(1, 5)
	case style < 997:
		n = r.between(6, 20)
	default:
		n = r.between(21, 250)
	}
	if n == 0 {
		return nil
	}
	start := r.below(len(allTags) - n)
	return allTags[start : start+n : start+n]
}

// someNote returns a piece of a long text, cut between characters.
func someNote(r *source) string {
	n := 0
	switch style := r.below(1000); {
	case style < 780:
		return ""
	case style < 930:
		n = r.between(5, 40)
	case style < 999:
		n = r.between(40, 150)
	default:
		n = r.between(1000, 5000)
	}
	start := r.below(len(noteRunes) - n)
	return noteText[noteRunes[start]:noteRunes[start+n]]
}

func someEmailConsent(r *source, updated int64) EmailConsent {
	consent := EmailConsent{State: emailStates[r.weighted(emailStateWeights)], Level: pick(r, optInLevels)}
	if r.chance(60) {
		consent.UpdatedAt = time.Unix(updated-int64(r.below(1_000_000)), 0).UTC()
	}
	return consent
}

func someSMSConsent(r *source, updated int64) SMSConsent {
	consent := SMSConsent{State: smsStates[r.weighted(smsStateWeights)], Level: pick(r, optInLevels[:3])}
	if consent.State != "NOT_SUBSCRIBED" {
		consent.UpdatedAt = time.Unix(updated-int64(r.below(1_000_000)), 0).UTC()
		consent.CollectedFrom = pick(r, collectedFrom)
	}
	return consent
}

func someWhatsAppConsent(r *source, updated int64) WhatsAppConsent {
	consent := WhatsAppConsent{State: whatsAppStates[r.weighted(whatsAppStateWeights)]}
	if consent.State != "NEVER_SUBSCRIBED" {
		consent.Level = pick(r, optInLevels)
		consent.UpdatedAt = time.Unix(updated-int64(r.below(1_000_000)), 0).UTC()
		consent.CollectedFrom = pick(r, collectedFrom)
	}
	return consent
}

func someAddress(r *source, place *place) Address {
	a := Address{CountryCode: place.country, City: pick(r, place.cities), Province: place.province}
	a.Address1 = pick(r, place.streets)
	if r.chance(20) {
		a.Address2 = pick(r, floors)
	}
	if r.chance(80) {
		a.Zip = digits(r, place.zip)
	}
	if r.chance(40) {
		a.Phone = somePhone(r, place)
	}
	return a
}
