package shopify

import "regexp"

// A host label has at most 63 characters (RFC 1035, section 2.3.4).
const maxLabel = 63

const hostSuffix = ".myshopify.com"

var hostPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?\.myshopify\.com$`)

// ValidHost reports whether host is exactly a store's own host, such as
// "demo.myshopify.com": lower case, no scheme, port, path or trailing dot.
// Nothing else may ever receive an access token.
func ValidHost(host string) bool {
	return len(host) <= maxLabel+len(hostSuffix) && hostPattern.MatchString(host)
}
