package bulk

import (
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep values nest; customers have two levels.
const maxDepth = 100

// scanner walks over one JSON value (RFC 8259) without building it. A method
// that meets something else than JSON sets bad, after which every method
// returns at once, so that callers look at bad only at the end.
type scanner struct {
	data  []byte
	pos   int
	fresh bool // just behind the opening bracket of an object or array
	bad   bool
}

// peek returns the first byte of the next value or mark, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch b := s.data[s.pos]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

// take steps over b, which must come next.
func (s *scanner) take(b byte) {
	if s.peek() != b {
		s.bad = true
		return
	}
	s.pos++
}

// open steps into an object or array. The members follow as in
//
//	for s.open('['); s.more(']'); { ... one value ... }
func (s *scanner) open(bracket byte) {
	s.take(bracket)
	s.fresh = true
}

// more reports whether a member follows, and steps out if none does.
func (s *scanner) more(bracket byte) bool {
	fresh := s.fresh
	s.fresh = false
	switch {
	case s.bad:
		return false
	case s.peek() == bracket:
		s.pos++
		return false
	case !fresh:
		s.take(',')
	}
	return !s.bad
}

// key returns the key of a member as a [scanner.str] and steps to its value.
func (s *scanner) key() (raw []byte, verbatim bool) {
	raw, verbatim = s.str()
	s.take(':')
	return raw, verbatim
}

// Kinds of bytes within a string.
const (
	ordinary = iota
	quote
	escape
	control // must be escaped
	wide    // part of a character beyond ASCII
)

var kindOf = func() (kinds [256]uint8) {
	for b := range kinds {
		switch {
		case b == '"':
			kinds[b] = quote
		case b == '\\':
			kinds[b] = escape
		case b < 0x20:
			kinds[b] = control
		case b >= utf8.RuneSelf:
			kinds[b] = wide
		}
	}
	return kinds
}()

// str steps over a string and returns what stands between its quotes. If it is
// verbatim the text is just that, else [appendText] makes it.
func (s *scanner) str() (raw []byte, verbatim bool) {
	s.take('"')
	if s.bad {
		return nil, true
	}
	verbatim, ascii := true, true
	data := s.data
	for i := s.pos; i < len(data); i++ {
		switch kindOf[data[i]] {
		case quote:
			raw, s.pos = data[s.pos:i], i+1
			return raw, verbatim && (ascii || utf8.Valid(raw))
		case escape:
			n := escapeLen(data[i:])
			if n == 0 {
				s.bad = true
				return nil, true
			}
			verbatim = false
			i += n - 1
		case control:
			s.bad = true
			return nil, true
		case wide:
			ascii = false
		}
	}
	s.bad = true
	return nil, true
}

// escapeLen returns the length of the escape that b begins with, 0 if it is
// none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b); ok {
			return 6
		}
	}
	return 0
}

// hex4 reads an escape of the form \u0041.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// appendText appends the text of a string that [scanner.str] has accepted. As
// in encoding/json, what is not Unicode becomes U+FFFD: each stray byte, each
// half of a surrogate pair without the other.
func appendText(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '\\' && raw[i+1] == 'u':
			r, _ := hex4(raw[i:])
			i += 6
			if utf16.IsSurrogate(r) {
				low, _ := hex4(raw[i:])
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		case c == '\\':
			dst = append(dst, unescape(raw[i+1]))
			i += 2
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, size := utf8.DecodeRune(raw[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
		}
	}
	return dst
}

// unescape returns what an escape of one letter stands for.
func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// number steps over a number and returns its text.
func (s *scanner) number() []byte {
	s.peek()
	start := s.pos
	if s.pos < len(s.data) && s.data[s.pos] == '-' {
		s.pos++
	}
	if s.pos < len(s.data) && s.data[s.pos] == '0' {
		s.pos++
	} else {
		s.digits()
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		s.digits()
	}
	if s.pos < len(s.data) && s.data[s.pos]|0x20 == 'e' {
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		s.digits()
	}
	return s.data[start:s.pos]
}

// digits steps over at least one digit.
func (s *scanner) digits() {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos]-'0' <= 9 {
		s.pos++
	}
	s.bad = s.bad || s.pos == start
}

// word steps over null, true or false.
func (s *scanner) word(w string) {
	s.peek()
	if len(s.data)-s.pos < len(w) || string(s.data[s.pos:s.pos+len(w)]) != w {
		s.bad = true
		return
	}
	s.pos += len(w)
}

// skip steps over any value.
func (s *scanner) skip(depth int) {
	switch s.peek() {
	case '{':
		s.bad = s.bad || depth == maxDepth
		for s.open('{'); s.more('}'); {
			s.key()
			s.skip(depth + 1)
		}
	case '[':
		s.bad = s.bad || depth == maxDepth
		for s.open('['); s.more(']'); {
			s.skip(depth + 1)
		}
	case '"':
		s.str()
	case 'n':
		s.word("null")
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	default:
		s.number()
	}
}

// end checks that nothing follows the value.
func (s *scanner) end() {
	s.peek()
	s.bad = s.bad || s.pos < len(s.data)
}
