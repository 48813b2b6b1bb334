package shopifysync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/omnichat/shopifysync/internal/shopify"
)

// DefaultAPIVersion is the Admin API version asked for when a [Connection]
// names none. Shopify answers for a version that it no longer supports with
// the oldest one that it does; [Report.ServedVersion] tells which that was.
const DefaultAPIVersion = "2024-04"

// A ConnectionID names one store connected by one tenant. It is the host's
// choice and opaque to the library: any non-empty UTF-8 text of at most 255
// bytes without NUL. It belongs to one store for ever.
type ConnectionID string

// A CustomerID is Shopify's numeric id of a customer, the merchant's "member
// number". Real ids exceed 2^53, so its JSON form is a string.
type CustomerID int64

// A Shop is a store's canonical host name, {store_name}.myshopify.com in lower
// case, as [ParseShop] returns it. A Shop of any other form is refused before
// a request is made.
type Shop string

const shopSuffix = ".myshopify.com"

// ParseShop accepts what people paste of a store's address: the canonical host
// with or without https:// and a trailing slash, in any case, or the admin's
// address admin.shopify.com/store/{store_name}. Anything else, a custom domain
// included, is an error that matches [ErrInvalidShop] and says where to look.
//
// A store name is a DNS label: 1 to 63 of a-z, 0-9 and inner hyphens.
func ParseShop(s string) (Shop, error) {
	for i := range len(s) {
		if s[i] >= 0x80 { // before lowering: U+212A, the Kelvin sign, lowers to an ASCII k
			return "", ErrInvalidShop
		}
	}
	s = strings.ToLower(strings.Trim(s, " "))
	s = strings.TrimPrefix(s, "https://")
	if name, ok := strings.CutPrefix(s, "admin.shopify.com/store/"); ok {
		s = strings.TrimSuffix(name, "/") + shopSuffix
	}
	shop := Shop(strings.TrimSuffix(s, "/"))
	if !shop.valid() {
		return "", ErrInvalidShop
	}
	return shop, nil
}

// Name returns the store name, the part before .myshopify.com.
func (s Shop) Name() string { return strings.TrimSuffix(string(s), shopSuffix) }

func (s Shop) valid() bool { return shopify.ValidHost(string(s)) }

const customerGID = "gid://shopify/Customer/"

// ParseCustomerID accepts digits or a global id (gid://shopify/Customer/123).
func ParseCustomerID(s string) (CustomerID, error) {
	digits := strings.TrimPrefix(s, customerGID)
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || id <= 0 || digits[0] == '+' {
		return 0, errors.New("shopifysync: not a customer id: digits or gid://shopify/Customer/{digits} wanted")
	}
	return CustomerID(id), nil
}

// GID returns the global id that the GraphQL API uses.
func (id CustomerID) GID() string { return customerGID + id.String() }

// String returns the decimal digits.
func (id CustomerID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalText implements [encoding.TextMarshaler].
func (id CustomerID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; it accepts what
// [ParseCustomerID] does, and "0".
func (id *CustomerID) UnmarshalText(b []byte) error {
	if string(b) == "0" {
		*id = 0
		return nil
	}
	v, err := ParseCustomerID(string(b))
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// Credentials are what the merchant copies from Shopify, and a slot for
// rotation. Either AccessToken is set, or ClientID and ClientSecret are; with
// [WithTokenSource] neither needs to be, and ClientSecret only verifies webhooks.
type Credentials struct {
	// AccessToken is the permanent Admin API token of an admin-created app.
	// Empty for a Dev Dashboard app, which then gets 24-hour tokens by the
	// client credentials grant. No prefix or length is assumed.
	AccessToken Secret
	// ClientID is the API key.
	ClientID string
	// ClientSecret is the API secret key: it signs webhooks, and obtains tokens
	// when AccessToken is empty.
	ClientSecret Secret
	// PreviousClientSecret is still accepted on webhooks: Shopify may sign with
	// the old secret for an hour after it was rotated.
	PreviousClientSecret Secret
}

// A Connection is one store connected by one tenant.
type Connection struct {
	ID          ConnectionID
	Shop        Shop
	Credentials Credentials
	// APIVersion is the Admin API version to ask for, such as "2024-04";
	// empty means [DefaultAPIVersion].
	APIVersion string
	// WhatsApp, if set, makes every member with a usable phone a WhatsApp
	// contact of that account; see [Report].WhatsApp. A change of it covers all
	// contacts at the next full run. Nil leaves links as they are; to end them
	// use the policy [WhatsAppNone].
	WhatsApp *WhatsAppSettings
	// Labels are the host's own, untouched by the library.
	Labels map[string]string
}

// WhatsAppSettings choose the WhatsApp account that members are added to.
type WhatsAppSettings struct {
	// AccountID is the host's id of the WhatsApp account; not empty.
	AccountID string
	// Policy says which members are added; the zero value is [WhatsAppAll].
	Policy WhatsAppPolicy
	// Country is the ISO 3166-1 alpha-2 code used for phone numbers in national
	// format, WhatsApp's and all others, when the customer's address names no
	// country: the shop's own, as a rule; may be empty.
	Country string
}

// phoneCountry returns where a phone number in national format belongs; "" if
// that is not known.
func (c Connection) phoneCountry(address *Address) string {
	switch {
	case address != nil && address.Country != "":
		return address.Country
	case c.WhatsApp != nil:
		return c.WhatsApp.Country
	}
	return ""
}

// A WhatsAppPolicy says which members become WhatsApp contacts. None of them
// grants a marketing permission.
type WhatsAppPolicy string

// The policies.
const (
	WhatsAppAll        WhatsAppPolicy = ""           // every member with a usable phone
	WhatsAppSubscribed WhatsAppPolicy = "subscribed" // only those whose WhatsApp marketing consent is SUBSCRIBED; before API 2026-07 none is shown, and links stay as they are
	WhatsAppNone       WhatsAppPolicy = "none"       // nobody; those linked before are unlinked
)

// validate checks what can be checked without asking Shopify. One whose tokens
// come from a [TokenSource] need have no credentials.
func (c Connection) validate(source TokenSource) error {
	if err := c.validateName(); err != nil {
		return err
	}
	switch {
	case source == nil && c.Credentials.AccessToken.IsZero() && (c.Credentials.ClientID == "" || c.Credentials.ClientSecret.IsZero()):
		return fmt.Errorf("%w: it needs an access token, or a client ID and a client secret", ErrInvalidConnection)
	case c.APIVersion != "" && !validAPIVersion(c.APIVersion):
		return fmt.Errorf("%w: API version %q is not of the form 2024-04", ErrInvalidConnection, c.APIVersion)
	case c.WhatsApp != nil && !slices.Contains([]WhatsAppPolicy{WhatsAppAll, WhatsAppSubscribed, WhatsAppNone}, c.WhatsApp.Policy):
		return fmt.Errorf("%w: there is no WhatsApp policy %q", ErrInvalidConnection, c.WhatsApp.Policy)
	case c.WhatsApp != nil && c.WhatsApp.AccountID == "":
		return fmt.Errorf("%w: WhatsApp settings need an account id", ErrInvalidConnection)
	}
	return nil
}

// validateName checks what even a connection without credentials has, as one
// whose contacts were kept by Disconnect.
func (c Connection) validateName() error {
	switch {
	case c.ID == "" || len(c.ID) > 255 || strings.ContainsRune(string(c.ID), 0):
		return fmt.Errorf("%w: its ID must be 1 to 255 bytes without NUL", ErrInvalidConnection)
	case !c.Shop.valid():
		return fmt.Errorf("%w: %w", ErrInvalidConnection, ErrInvalidShop)
	}
	return nil
}

func (c Connection) apiVersion() string {
	if c.APIVersion == "" {
		return DefaultAPIVersion
	}
	return c.APIVersion
}

// validAPIVersion accepts quarterly versions (2024-04) and "unstable".
func validAPIVersion(v string) bool {
	if v == "unstable" {
		return true
	}
	t, err := time.Parse("2006-01", v)
	return err == nil && (t.Month()-1)%3 == 0
}

// Connections look connections up. They are asked at each call, so a change of
// credentials takes effect at once; the library never keeps them across runs.
// Implementations must be safe for concurrent use.
type Connections interface {
	// Connection returns the connection of that id, or an error that matches
	// [ErrNotConnected].
	Connection(ctx context.Context, id ConnectionID) (Connection, error)
	// ConnectionsByShop returns every connection of the shop; none is no error.
	// One that cannot be read, as when its secrets cannot be decrypted, should
	// come without Credentials rather than keep back the others; the error of
	// Connection should match [ErrInvalidConnection] then.
	ConnectionsByShop(ctx context.Context, shop Shop) ([]Connection, error)
}

// A ConnectionStore also keeps connections. Its secrets must be encrypted at
// rest. Implementations must be safe for concurrent use.
type ConnectionStore interface {
	Connections
	// SaveConnection creates the connection or replaces the one with its ID.
	SaveConnection(ctx context.Context, p SaveConnectionParams) (SaveConnectionResult, error)
	// DeleteConnection forgets the connection and its secrets, not its
	// contacts. An unknown one is no error.
	DeleteConnection(ctx context.Context, p DeleteConnectionParams) (DeleteConnectionResult, error)
	// ListConnections returns connections by ascending ID (byte order), those
	// after p.After, at most p.Limit; as [Connections].ConnectionsByShop does,
	// one that cannot be read without Credentials.
	ListConnections(ctx context.Context, p ListConnectionsParams) (ListConnectionsResult, error)
}

// SaveConnectionParams are the arguments of [ConnectionStore.SaveConnection].
type SaveConnectionParams struct{ Connection Connection }

// SaveConnectionResult is what [ConnectionStore.SaveConnection] returns.
type SaveConnectionResult struct{ Created bool }

// DeleteConnectionParams are the arguments of [ConnectionStore.DeleteConnection].
type DeleteConnectionParams struct{ Connection ConnectionID }

// DeleteConnectionResult is what [ConnectionStore.DeleteConnection] returns.
type DeleteConnectionResult struct{ Deleted bool }

// ListConnectionsParams are the arguments of [ConnectionStore.ListConnections].
type ListConnectionsParams struct {
	After ConnectionID // exclusive; empty: from the start
	Limit int          // at least 1
}

// ListConnectionsResult is what [ConnectionStore.ListConnections] returns.
type ListConnectionsResult struct{ Connections []Connection }

// A Token is an Admin API access token.
type Token struct {
	Value     Secret
	ExpiresAt time.Time // zero: not known, or never
}

// TokenParams say whose token is wanted.
type TokenParams struct {
	Connection ConnectionID
	Shop       Shop
	// Rejected is a token that Shopify has just refused with 401, or empty. A
	// source that gives the same one back ends the attempt.
	Rejected Secret
}

// A TokenSource supplies access tokens from elsewhere: a vault, or expiring
// offline tokens that the host refreshes. See [WithTokenSource]. It must be
// safe for concurrent use.
//
// A Syncer keeps each connection's token. It asks again ten minutes before
// ExpiresAt (or when a tenth of the token's life is left, if that is less);
// without an ExpiresAt within an hour; when Shopify has refused the token; and in
// [Syncer.Connect]. However many calls want a token at the same time, one asks.
type TokenSource interface {
	Token(ctx context.Context, p TokenParams) (Token, error)
}
