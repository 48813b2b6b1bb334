// Package scalar holds the Go types of GraphQL scalars that need more than a
// plain string.
package scalar

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Number is an UnsignedInt64 or a Decimal, kept as the text that Shopify sent:
// ids and amounts exceed what a float64 holds exactly. Shopify sends strings;
// a bare JSON number is accepted too, and null is the empty Number.
type Number string

// UnmarshalJSON implements [json.Unmarshaler].
func (n *Number) UnmarshalJSON(b []byte) error {
	switch {
	case bytes.Equal(b, []byte("null")):
		*n = ""
		return nil
	case len(b) > 1 && b[0] == '"':
		if inner := b[1 : len(b)-1]; bytes.IndexByte(inner, '\\') < 0 {
			*n = Number(inner)
			return nil
		}
		return json.Unmarshal(b, (*string)(n))
	case len(b) > 0 && (b[0] == '-' || b[0] >= '0' && b[0] <= '9'):
		*n = Number(b)
		return nil
	}
	return fmt.Errorf("scalar: a number or its text is wanted, not a JSON %s", kind(b))
}

// kind names the JSON type of b without quoting it: it may be personal data.
func kind(b []byte) string {
	if len(b) == 0 {
		return "nothing"
	}
	switch b[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	}
	return "value"
}
