package shopify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Kind says what went wrong, so that callers need no status codes.
type Kind int

const (
	// Canceled: the caller's context ended; Err is its error.
	Canceled Kind = iota + 1
	// NoToken: the Token function failed; Err is its error.
	NoToken
	// BadToken: the access token contains what no header may carry; it was not sent.
	BadToken
	// Unauthorized: the access token is not, or no longer, valid (401).
	Unauthorized
	// Frozen: the store is frozen for an unpaid bill, or closed (402).
	Frozen
	// Forbidden: the app may not use the Admin API of this store (403).
	Forbidden
	// NotFound: there is no such store (404).
	NotFound
	// Moved: the store answered with a redirect, which is never followed.
	// Detail is the new host if that is another store host, else empty.
	Moved
	// Locked: Shopify locked the store (423).
	Locked
	// Rejected: Shopify's security rejected the request (430).
	Rejected
	// Throttled: no points or too many requests, still so after many retries,
	// or for longer than is worth waiting (429, THROTTLED).
	Throttled
	// MaxCost: the query costs more than any query may: ask for less at a time.
	MaxCost
	// AccessDenied: an access scope is missing. Detail is what Shopify says
	// is required, or the path that was denied.
	AccessDenied
	// ProtectedData: the app is not approved for protected customer data, or
	// the store's plan does not include it. Detail tells the two apart.
	ProtectedData
	// InvalidQuery: Shopify refused the operation itself, for example because
	// the served version has no such field.
	InvalidQuery
	// Server: Shopify failed (5xx, INTERNAL_SERVER_ERROR).
	Server
	// Network: no answer, or half of one.
	Network
	// BadResponse: an answer that is not what the API sends: a web page, cut
	// or oversized JSON, or data of another shape (then Err is a *DecodeError).
	BadResponse
	// NotPermitted: client credentials work only in stores of the app's own
	// organisation (shop_not_permitted).
	NotPermitted
	// NotInstalled: the app is not installed in the store (app_not_installed).
	NotInstalled
	// WrongClient: Shopify does not accept the client ID and secret.
	WrongClient
)

// kinds holds, for each Kind, what is said about it and what to do next.
var kinds = map[Kind]struct{ name, what, next string }{
	Canceled:      {"canceled", "stopped by the caller", "nothing to do, or allow more time"},
	NoToken:       {"no token", "could not get an access token", "repair the source of the token"},
	BadToken:      {"bad token", "the access token contains a space, a line break or another character that no token has", "copy the token again, without anything around it"},
	Unauthorized:  {"unauthorized", "Shopify does not accept the access token", "check that the app is still installed, then enter its current token"},
	Frozen:        {"frozen", "the store is frozen or closed", "the merchant settles the bill in the Shopify admin, then sync again"},
	Forbidden:     {"forbidden", "the app may not use this store's Admin API", "check the app's Admin API access and scopes in the Shopify admin"},
	NotFound:      {"not found", "there is no such store", "check the store's name: Shopify admin, Settings, Domains, the one that ends in .myshopify.com"},
	Moved:         {"moved", "the store answered with a redirect, which is not followed because the credentials would go along", "connect with the store's own .myshopify.com name: Shopify admin, Settings, Domains"},
	Locked:        {"locked", "Shopify has locked the store", "the merchant asks Shopify support, then sync again"},
	Rejected:      {"rejected", "Shopify's security rejected the request", "wait an hour; if it goes on, give Shopify support the request id"},
	Throttled:     {"throttled", "Shopify is asking for fewer requests", "try again later; other programs that use the same app share its limit"},
	MaxCost:       {"max cost exceeded", "the query costs more than Shopify allows a single query", "ask for fewer records at a time"},
	AccessDenied:  {"access denied", "an access scope is missing", "grant the scope to the app, then connect again"},
	ProtectedData: {"protected customer data", "Shopify does not show this app the personal data of customers", "request protected customer data access for the app, or use an app made in the Dev Dashboard"},
	InvalidQuery:  {"invalid query", "Shopify did not accept the operation", "report this with the code and the API version: the operation does not fit the version that Shopify serves"},
	Server:        {"server", "Shopify failed", "try again later; if it goes on, give Shopify support the request id"},
	Network:       {"network", "no complete answer from Shopify", "check the network and try again"},
	BadResponse:   {"bad response", "the answer is not what the Admin API sends", "try again later; look for a proxy in between; if it goes on, report it with the request id"},
	NotPermitted:  {"not permitted", "the app belongs to another organisation than the store", "use an app of the store's own organisation in the Dev Dashboard"},
	NotInstalled:  {"not installed", "the app is not installed in the store", "install the app in the store, then connect again"},
	WrongClient:   {"wrong client", "Shopify does not accept the client ID and secret", "copy both again from the app's settings in the Dev Dashboard"},
}

// String returns the kind's name.
func (k Kind) String() string {
	if d, ok := kinds[k]; ok {
		return d.name
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Error is the one error type of this package. Its text never holds a body, a
// token, a variable or a message of Shopify's, which may quote one.
type Error struct {
	Op         string        // the operation's name
	Kind       Kind          // what went wrong
	Code       string        // Shopify's own code, such as "THROTTLED", if any
	StatusCode int           // HTTP status, 0 if there was no answer
	RequestID  string        // X-Request-Id: what Shopify support asks for
	RetryAfter time.Duration // how long Shopify wants to be left alone, 0 if not said
	Err        error         // the cause; nil if Shopify's answer is all there is
	Detail     string        // see the Kinds; nothing personal
}

// Error says what failed, the facts, and what to do next.
func (e *Error) Error() string {
	d := kinds[e.Kind]
	var b strings.Builder
	fmt.Fprintf(&b, "shopify: %s: %s", e.Op, d.what)
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	if text := e.cause(); text != "" {
		fmt.Fprintf(&b, ": %s", text)
	}
	var facts []string
	if e.StatusCode != 0 && e.StatusCode != http.StatusOK {
		facts = append(facts, fmt.Sprintf("HTTP %d", e.StatusCode))
	}
	if e.Code != "" {
		facts = append(facts, e.Code)
	}
	if e.RequestID != "" {
		facts = append(facts, "request "+e.RequestID)
	}
	if e.RetryAfter > 0 {
		facts = append(facts, "retry after "+e.RetryAfter.String())
	}
	if len(facts) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(facts, ", "))
	}
	fmt.Fprintf(&b, "; %s", d.next)
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// DecodeError says that the data of an answer does not have the shape that was
// asked for. Records can still be decoded one by one from Data.
type DecodeError struct {
	Data  json.RawMessage `json:"-"` // the answer's data: personal, never to be printed
	Field string          // where, as far as it is known, such as "customers.nodes.tags"
	Type  string          // the Go type that was expected there
}

// Error names the place, never the value.
func (e *DecodeError) Error() string {
	if e.Field == "" {
		return "the data has another shape than expected"
	}
	return fmt.Sprintf("%s is not a %s", e.Field, e.Type)
}

// cause is what may be printed of Err. The text of an unknown error is not: a
// transport may quote the request, or the first bytes of the answer.
func (e *Error) cause() string {
	err := e.Err
	var (
		decode *DecodeError
		dial   *net.OpError
		lookup *net.DNSError
		cert   *tls.CertificateVerificationError
	)
	switch {
	case err == nil:
		return ""
	case e.Kind == NoToken: // the host's own words
		return err.Error()
	case errors.As(err, &decode):
		return decode.Error()
	case errors.As(err, &lookup):
		return lookup.Error()
	case errors.As(err, &dial):
		return dial.Error()
	case errors.As(err, &cert):
		return cert.Error()
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "the connection was cut"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errTimeout):
		return err.Error()
	}
	return fmt.Sprintf("%T", err)
}
