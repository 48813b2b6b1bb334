package sqlstore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/omnichat/shopifysync"
)

// contentHash returns 128 bits of SHA-256 of everything in a contact but its
// key and version, as 22 characters. Null attributes count as absent.
//
// If the hash of what comes in is the one stored, then the content is: whether
// fields are masked on both sides or seen on both, merging changes nothing.
// If it is not, the contents may yet be equal, for what comes in may leave
// fields untouched; then [shopifysync.Apply] decides on the whole contact.
func contentHash(c *shopifysync.Contact, scratch *[]byte) string {
	b := append((*scratch)[:0], 1) // the version of this encoding
	for _, t := range [...]string{c.Name, c.FirstName, c.LastName, c.Email, c.Phone, string(c.PhoneSource)} {
		b = appendText(b, t)
	}
	b = binary.AppendUvarint(b, uint64(c.Masked))
	b = binary.AppendUvarint(b, uint64(len(c.Tags)))
	for _, t := range c.Tags {
		b = appendText(b, t)
	}
	if w := c.WhatsApp; w != nil && w.UserID != "" {
		b = appendText(appendText(appendText(append(b, 1), w.Account), w.UserID), w.Name)
	} else {
		b = append(b, 0)
	}
	for i := range c.Attributes {
		a := &c.Attributes[i]
		if a.Kind == shopifysync.KindNull {
			continue
		}
		b = appendText(appendText(b, string(a.Key)), string(a.Kind))
		switch a.Kind {
		case shopifysync.KindConsent:
			b = appendText(appendText(b, string(a.Consent.State)), string(a.Consent.Level))
			b = appendText(appendText(b, a.Consent.CollectedFrom), a.Consent.Address)
			b = binary.AppendVarint(b, a.Consent.UpdatedAt.UnixMilli())
		default:
			b = appendText(appendText(appendText(b, a.Number), a.Currency), a.Text)
		}
	}
	*scratch = b
	sum := sha256.Sum256(b)
	var out [22]byte
	base64.RawURLEncoding.Encode(out[:], sum[:16])
	return string(out[:])
}

// appendText appends a text so that no two sequences of texts look alike.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
