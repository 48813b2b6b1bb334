package bulk

import (
	"bytes"
	"time"

	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
	"github.com/omnichat/shopifysync/internal/scalar"
)

// Every method below reads one value into a field. The key is for the error.

// name returns the key of a member, valid until the next value is read.
func (d *decoder) name() []byte {
	raw, verbatim := d.key()
	if verbatim {
		return raw
	}
	return appendText(d.text[len(d.text):], raw)
}

// set lets field be the text at s, unless a later set says otherwise.
func (d *decoder) set(field *string, s span) {
	d.texts = append(d.texts, target{field, s})
}

// assign makes the gathered text a string and fills every field with its part.
func (d *decoder) assign(c *v2026_07.Customer) {
	text := string(d.text)
	for _, t := range d.texts {
		*t.field = text[t.from:t.to]
	}
	if c.Tags != nil {
		c.Tags = make([]string, len(d.tags))
		for i, s := range d.tags {
			c.Tags[i] = text[s.from:s.to]
		}
	}
}

// gather appends a string to the text.
func (d *decoder) gather() span {
	from := len(d.text)
	raw, verbatim := d.str()
	if verbatim {
		d.text = append(d.text, raw...)
	} else {
		d.text = appendText(d.text, raw)
	}
	return span{from, len(d.text)}
}

// gatherRaw appends the value as it is written: a number, true or false.
func (d *decoder) gatherRaw() span {
	d.peek()
	from, start := len(d.text), d.pos
	d.skip(0)
	d.text = append(d.text, d.data[start:d.pos]...)
	return span{from, len(d.text)}
}

// gatherText appends a text or what may stand for one.
func (d *decoder) gatherText(key string) span {
	switch d.peek() {
	case '"':
		return d.gather()
	case 'n':
		d.word("null")
		return span{}
	case '{', '[':
		d.skip(1)
		d.wrong(key + " is not a text")
		return span{}
	}
	return d.gatherRaw()
}

func (d *decoder) readText(field *string, key string) {
	d.set(field, d.gatherText(key))
}

func (d *decoder) readNumber(field *scalar.Number, key string) {
	switch d.peek() {
	case 't', 'f':
		d.skip(1)
		d.wrong(key + " is not a number")
	default:
		d.set((*string)(field), d.gatherText(key))
	}
}

func (d *decoder) readTags(c *v2026_07.Customer) {
	c.Tags, d.tags = nil, d.tags[:0]
	switch d.peek() {
	case 'n':
		d.word("null")
	case '[':
		c.Tags = []string{}
		for d.open('['); d.more(']'); {
			d.tags = append(d.tags, d.gatherText("tags"))
		}
	default:
		d.skip(1)
		d.wrong("tags is not a list")
	}
}

func (d *decoder) readBool(field *bool, key string) {
	*field = false
	switch d.peek() {
	case 'n':
		d.word("null")
		return
	case 't', 'f':
		*field = d.peek() == 't'
		d.skip(1)
		return
	case '"':
		switch raw, _ := d.str(); string(raw) {
		case "true":
			*field = true
			return
		case "false":
			return
		}
	default:
		d.skip(1)
	}
	d.wrong(key + " is not a boolean")
}

func (d *decoder) readTime(field *time.Time, key string) {
	*field = time.Time{}
	switch d.peek() {
	case 'n':
		d.word("null")
	case '"':
		s := d.gather()
		t, ok := parseTime(d.text[s.from:s.to])
		if !ok {
			d.wrong(key + " is not an RFC 3339 time")
		}
		*field = t
		d.text = d.text[:s.from]
	default:
		d.skip(1)
		d.wrong(key + " is not a time")
	}
}

// isObject reports whether an object comes; if none does, it steps over what
// does.
func (d *decoder) isObject(key string) bool {
	switch d.peek() {
	case '{':
		return true
	case 'n':
		d.word("null")
	default:
		d.skip(1)
		d.wrong(key + " is not an object")
	}
	return false
}

func (d *decoder) readParent() {
	if d.peek() == 'n' {
		d.word("null")
		return
	}
	d.object.Child = true
	d.skip(1)
}

// readID reads the customer's id, into field unless that is nil.
func (d *decoder) readID(field *string) {
	if d.peek() != '"' {
		d.skip(1)
		d.wrong("id is not a text")
		return
	}
	s := d.gather()
	id, ok := parseGID(d.text[s.from:s.to])
	switch {
	case !ok:
		d.wrong("id is not that of a customer")
	case d.object.CustomerID != 0 && d.object.CustomerID != id:
		d.twoIDs = true
		d.wrong("the customer has two ids")
	default:
		d.object.CustomerID = id
	}
	if field != nil {
		d.set(field, s)
	}
}

// parseGID reads a customer's id, such as gid://shopify/Customer/7706405506930
// (https://shopify.dev/docs/api/usage/gids).
func parseGID(gid []byte) (id int64, ok bool) {
	digits, ok := bytes.CutPrefix(gid, []byte("gid://shopify/Customer/"))
	if !ok || len(digits) == 0 || len(digits) > 19 || digits[0] == '0' {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		id = id*10 + int64(c-'0')
	}
	return id, id > 0 // 19 digits overflow to below 0
}
