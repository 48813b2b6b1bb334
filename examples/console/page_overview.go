package main

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/omnichat/shopifysync"
)

type overviewBody struct {
	Status   *shopifysync.Status
	Gone     bool
	Ending   bool // it is being disconnected
	Busy     bool // a run goes on
	AskSync  bool // just connected: sync now, or later
	Contacts int64
	Failed   int
	WhatsApp string // the account's name
}

func (c *console) overview(w http.ResponseWriter, r *http.Request) error {
	p, conn, status, err := c.storePage(r, "overview")
	if err != nil {
		return err
	}
	contacts, err := c.count(r, conn.ID)
	if err != nil {
		return err
	}
	if p.Run, err = c.latest(r, p, conn.ID, status); err != nil {
		return err
	}
	b := overviewBody{
		Status: status, Gone: p.Store.Gone, Contacts: contacts, Failed: len(status.Failures),
		Busy:    p.Run != nil && p.Run.Running,
		AskSync: p.Run == nil && !p.Store.Gone && r.FormValue("done") != "later",
	}
	if s := conn.WhatsApp; s != nil {
		b.WhatsApp = s.AccountID
		if i := slices.IndexFunc(whatsAppAccounts, func(a whatsAppAccount) bool { return a.ID == s.AccountID }); i >= 0 {
			b.WhatsApp = whatsAppAccounts[i].Name
		}
	}
	if p.Problem = problemOfHealth(p.T, p.Store); p.Problem == nil {
		p.Problem = problemNamed(p.T, r.FormValue("wrong"))
	}
	switch end := c.jobs.ending(conn.ID); {
	case end == nil:
	case end.running():
		b.Ending = true
	case end.err != nil:
		p.Problem = problemOf(p.T, end.err)
	}
	p.Title, p.Body, p.Refresh = p.T.NavOverview, b, b.Ending || b.Busy
	return c.show(w, r, "overview", p)
}

// check asks Shopify how the connection is, and has missing subscriptions made
// again.
func (c *console) check(w http.ResponseWriter, r *http.Request) error {
	conn, err := c.storeOf(r)
	if err != nil {
		return err
	}
	_, err = c.syncer.Check(r.Context(), conn.ID)
	return c.told(w, r, conn.ID, "checked", err)
}

// catchUp lists what changed lately and fetches it, as Serve does every
// quarter of an hour.
func (c *console) catchUp(w http.ResponseWriter, r *http.Request) error {
	conn, err := c.storeOf(r)
	if err != nil {
		return err
	}
	_, err = c.syncer.CatchUp(r.Context(), conn.ID)
	if err == nil {
		_, err = c.syncer.Drain(r.Context(), conn.ID)
	}
	if errors.Is(err, shopifysync.ErrSyncInProgress) { // Serve is at it
		return c.told(w, r, conn.ID, "catching-up", nil)
	}
	return c.told(w, r, conn.ID, "caught-up", err)
}

// told goes back to the overview, which says that something was done, or why not.
func (c *console) told(w http.ResponseWriter, r *http.Request, id shopifysync.ConnectionID, done string, err error) error {
	query := url.Values{"done": {done}}
	if err != nil {
		query = url.Values{"wrong": {c.problem(language(r), err).Key}}
	}
	return seeOther(w, r, storePath(id, "?"+query.Encode()))
}
