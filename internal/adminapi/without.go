package adminapi

import (
	"slices"
	"strings"
)

// Without returns the text of an operation without those fields of its
// CustomerFields fragment, each with its block of sub-fields if it has one.
// Everything else stays byte for byte. It relies on the generated layout: one
// field a line, a block's closing brace on a line of its own. Names that the
// fragment does not select are ignored.
func Without(query string, fields ...string) string {
	var (
		out      strings.Builder
		fragment bool // within CustomerFields
		depth    int  // of open braces within it
		drop     int  // the depth that ends the block being left out; 0: none
	)
	for line := range strings.Lines(query) {
		text := strings.TrimSpace(line)
		if !fragment {
			fragment = strings.HasPrefix(text, "fragment CustomerFields ")
		}
		if !fragment {
			out.WriteString(line)
			continue
		}
		before := depth
		depth += strings.Count(text, "{") - strings.Count(text, "}")
		switch {
		case drop > 0:
			if depth == drop {
				drop = 0
			}
		case before == 1 && slices.Contains(fields, strings.TrimSuffix(text, " {")):
			if depth > before {
				drop = before
			}
		default:
			out.WriteString(line)
		}
		fragment = depth > 0
	}
	return out.String()
}
