package shopifytest

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// The functions of this file append JSON to a slice: lines of bulk files are
// written by the hundred thousand a second.

// appendString appends s as a JSON string. Like Shopify in JSONL, it writes
// "/" as "\/" when asked to.
func appendString(dst []byte, s string, escapeSlash bool) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= utf8.RuneSelf {
			_, size := utf8.DecodeRuneInString(s[i:])
			if size == 1 { // not UTF-8
				dst = append(append(dst, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		if b >= ' ' && b != '"' && b != '\\' && (b != '/' || !escapeSlash) {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch b {
		case '"', '\\', '/':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func (x *execution) text(dst []byte, s string) []byte { return appendString(dst, s, x.escapeSlash) }

// optional appends null for an empty string.
func (x *execution) optional(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return x.text(dst, s)
}

// gid appends a global id such as gid://shopify/Customer/1.
func (x *execution) gid(dst []byte, kind string, id int64) []byte {
	if x.escapeSlash {
		dst = append(dst, `"gid:\/\/shopify\/`...)
		dst = append(append(dst, kind...), '\\', '/')
	} else {
		dst = append(dst, `"gid://shopify/`...)
		dst = append(append(dst, kind...), '/')
	}
	return append(strconv.AppendInt(dst, id, 10), '"')
}

// number appends an UnsignedInt64, which is a JSON string.
func number(dst []byte, n uint64) []byte {
	return append(strconv.AppendUint(append(dst, '"'), n, 10), '"')
}

// moment appends a DateTime, which has whole seconds; the zero time is null.
func moment(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "null"...)
	}
	return append(t.UTC().AppendFormat(append(dst, '"'), time.RFC3339), '"')
}

func boolean(dst []byte, b bool) []byte { return strconv.AppendBool(dst, b) }
