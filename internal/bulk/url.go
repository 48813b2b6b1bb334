package bulk

import (
	"net/url"
	"slices"
)

// hosts are the hosts Shopify has been seen to keep bulk results on: the url of
// a finished operation is a signed Google Cloud Storage link
// (https://shopify.dev/docs/api/usage/bulk-operations/queries). The host is not
// promised by Shopify, so an unknown one is no failure: the caller reads pages.
var hosts = []string{"storage.googleapis.com"}

// AllowedURL reports whether raw may be fetched as the result file of a bulk
// operation: https, one of the known hosts spelt exactly, no port and no user.
// Anything else could lead the fetch into the host's own network.
//
// [Open] does not ask it, so that tests may serve files from elsewhere.
func AllowedURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https" && u.User == nil && slices.Contains(hosts, u.Host)
}
