package main

import (
	"errors"
	"strings"

	"github.com/omnichat/shopifysync"
)

// A problem is an error as a merchant reads it: what is wrong, and what to do.
type problem struct {
	Key        string
	Field      string // of the connect form that it belongs to; empty: the form itself
	Text, Next string
	Missing    string // scopes
	Link       string
	LinkText   string
}

// A problemText is a problem in one language.
type problemText struct{ Text, Next string }

// known are the library's errors that a merchant may meet, the more telling
// first: an error may match several.
var known = []struct {
	err   error
	key   string
	field string
}{
	{shopifysync.ErrInvalidShop, "invalid shop", "shop"},
	{shopifysync.ErrShopNotFound, "shop not found", "shop"},
	{shopifysync.ErrAnotherStore, "another store", "shop"},
	{shopifysync.ErrShopMoved, "shop moved", "shop"},
	{shopifysync.ErrUninstalled, "uninstalled", "token"},
	{shopifysync.ErrAppNotInstalled, "app not installed", "api_key"},
	{shopifysync.ErrOtherOrganization, "other organisation", "api_key"},
	{shopifysync.ErrUnauthorized, "unauthorized", "token"},
	{shopifysync.ErrShopFrozen, "frozen", ""},
	{shopifysync.ErrShopLocked, "locked", ""},
	{shopifysync.ErrProtectedData, "protected data", "token"},
	{shopifysync.ErrScopeMissing, "scope missing", "token"},
	{shopifysync.ErrMassRemoval, "mass removal", ""},
	{shopifysync.ErrSyncInProgress, "in progress", ""},
	{shopifysync.ErrIncomplete, "incomplete", ""},
	{shopifysync.ErrThrottled, "throttled", ""},
	{shopifysync.ErrUnavailable, "unavailable", ""},
	{shopifysync.ErrNotConnected, "not connected", ""},
}

// problemOf tells a merchant of an error.
func problemOf(t *texts, err error) *problem {
	for _, k := range known {
		if errors.Is(err, k.err) {
			p := newProblem(t, k.key, k.field)
			var scopes *shopifysync.MissingScopesError
			if errors.As(err, &scopes) {
				p.Missing = strings.Join(scopes.Missing, " ")
			}
			return p
		}
	}
	return newProblem(t, "unknown", "")
}

// problemOfText is problemOf for the text of an error that a run's record kept.
func problemOfText(t *texts, text string) *problem {
	for _, k := range known {
		if strings.Contains(text, k.err.Error()) {
			return newProblem(t, k.key, k.field)
		}
	}
	return newProblem(t, "unknown", "")
}

// problemOfHealth tells of a connection that Shopify refuses, and leads to
// where it is mended; nil if all is well.
func problemOfHealth(t *texts, s *storeHead) *problem {
	keys := map[shopifysync.HealthState]string{
		shopifysync.HealthReauthorise: "unauthorized", shopifysync.HealthUninstalled: "uninstalled",
		shopifysync.HealthFrozen: "frozen", shopifysync.HealthLocked: "locked", shopifysync.HealthMoved: "shop moved",
		shopifysync.HealthNotFound: "shop not found", shopifysync.HealthScopeMissing: "scope missing",
		shopifysync.HealthProtectedData: "protected data", shopifysync.HealthOtherOrg: "other organisation",
	}
	key, bad := keys[s.State]
	if !bad || s.Gone {
		return nil
	}
	p := newProblem(t, key, "")
	if key != "frozen" && key != "locked" {
		p.Link, p.LinkText = s.To("/edit"), t.EditConnection
	}
	return p
}

// problem is problemOf for an error that just happened: the log has what the
// page cannot say.
func (c *console) problem(t *texts, err error) *problem {
	p := problemOf(t, err)
	if p.Key == "unknown" {
		c.log.Error("something failed", "error", err)
	}
	return p
}

// problemNamed is the problem of an address's parameter, or nil.
func problemNamed(t *texts, key string) *problem {
	if _, ok := t.Problems[key]; !ok {
		return nil
	}
	return newProblem(t, key, "")
}

func newProblem(t *texts, key, field string) *problem {
	text := t.Problems[key]
	return &problem{Key: key, Field: field, Text: text.Text, Next: text.Next}
}
