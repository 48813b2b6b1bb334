package bulk

import "time"

// parseTime reads an RFC 3339 time with the strictness of
// [time.Time.UnmarshalText], in UTC. Shopify writes 2024-04-01T08:30:00Z, which
// needs no more than a look at each digit.
func parseTime(b []byte) (time.Time, bool) {
	if t, ok := parseZulu(b); ok {
		return t, true
	}
	var t time.Time
	if err := t.UnmarshalText(b); err != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// parseZulu reads a time in UTC with whole seconds. It refuses what may be
// valid otherwise.
func parseZulu(b []byte) (time.Time, bool) {
	if len(b) != len("2006-01-02T15:04:05Z") || b[4] != '-' || b[7] != '-' || b[10] != 'T' ||
		b[13] != ':' || b[16] != ':' || b[19] != 'Z' {
		return time.Time{}, false
	}
	valid := true
	number := func(from, to, least, most int) (n int) {
		for _, c := range b[from:to] {
			valid = valid && c-'0' <= 9
			n = n*10 + int(c-'0')
		}
		valid = valid && least <= n && n <= most
		return n
	}
	year, month, day := number(0, 4, 1, 9999), number(5, 7, 1, 12), number(8, 10, 1, 31)
	hour, minute, second := number(11, 13, 0, 23), number(14, 16, 0, 59), number(17, 19, 0, 59)
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	return t, valid && t.Day() == day // there is no 31 April
}
