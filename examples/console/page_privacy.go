package main

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

type privacyBody struct {
	By, Who  string
	Unsure   bool // an erasure that was not confirmed
	Exported bool
	Found    []foundView
	Receipt  *shopifysync.ErasureReceipt
	Requests []dataRequest
}

// A foundView is a person whose data are given out.
type foundView struct {
	exported
	Card *cardView // nil: the contact is gone
	Who  string
}

func (c *console) privacyForm(w http.ResponseWriter, r *http.Request) error {
	return c.showPrivacy(w, r, privacyBody{By: "email"}, "", nil)
}

// showPrivacy shows the form with what was done; wrong names a problem.
func (c *console) showPrivacy(w http.ResponseWriter, r *http.Request, b privacyBody, wrong string, found []exported) error {
	p, conn, _, err := c.storePage(r, "privacy")
	if err != nil {
		return err
	}
	if b.Requests, err = c.agents.requests(r.Context(), conn.ID); err != nil {
		return err
	}
	for _, e := range found {
		v := foundView{exported: e, Who: p.T.Member}
		if e.Contact != nil {
			card := p.card(*e.Contact)
			card.optOut(e.OptedOutAt)
			v.Card, v.Who = &card, cmp.Or(e.Contact.Name, p.T.Nameless)
		}
		b.Found = append(b.Found, v)
	}
	status := http.StatusOK
	if wrong != "" {
		p.Problem = newProblem(p.T, wrong, "who")
	}
	if wrong != "" || b.Unsure {
		status = http.StatusUnprocessableEntity
	}
	p.Title, p.Body = p.T.NavPrivacy, b
	c.render(w, r, status, "privacy", p)
	return nil
}

// privacy gives out what is kept of a person, or erases it. The person is in
// the form's body, not in an address that a browser would remember.
func (c *console) privacy(w http.ResponseWriter, r *http.Request) error {
	conn, err := c.storeOf(r)
	if err != nil {
		return err
	}
	b := privacyBody{By: r.PostFormValue("by"), Who: strings.TrimSpace(r.PostFormValue("who"))}
	person := shopifysync.PersonParams{Connection: conn.ID}
	switch b.By {
	case "email":
		if person.Email = b.Who; !strings.Contains(b.Who, "@") {
			return c.showPrivacy(w, r, b, "person email", nil)
		}
	case "phone":
		if person.Phone = b.Who; b.Who == "" {
			return c.showPrivacy(w, r, b, "person phone", nil)
		}
	case "id":
		if person.CustomerID, err = shopifysync.ParseCustomerID(b.Who); err != nil {
			return c.showPrivacy(w, r, b, "member number", nil)
		}
	default:
		return errNotFound
	}
	switch r.PostFormValue("do") {
	case "erase":
		if b.Unsure = r.PostFormValue("sure") == ""; b.Unsure {
			return c.showPrivacy(w, r, b, "", nil)
		}
		if b.Receipt, err = c.syncer.Erase(r.Context(), person); err != nil {
			return err
		}
		b.Who = "" // nothing of the person stays, here neither
		c.signal.tell()
		return c.showPrivacy(w, r, b, "", nil)
	case "download":
		return c.download(w, r, person)
	case "export":
		found, err := c.export(r.Context(), person)
		if err != nil {
			return err
		}
		b.Exported = true
		return c.showPrivacy(w, r, b, "", found)
	}
	return errNotFound
}

// An exported is all that is kept of a person: what the library has, and what
// the host itself has, which may outlive the contact.
type exported struct {
	CustomerID shopifysync.CustomerID `json:"customer_id"`
	Contact    *shopifysync.Contact   `json:"contact,omitempty"`
	AgentTags  []string               `json:"agent_tags"`
	Messages   []message              `json:"messages"`
	OptedOutAt time.Time              `json:"opted_out_at,omitzero"`
}

// export collects all that is kept of a person.
func (c *console) export(ctx context.Context, person shopifysync.PersonParams) ([]exported, error) {
	contacts, err := c.syncer.Export(ctx, person)
	if err != nil {
		return nil, err
	}
	all := []exported{}
	for _, contact := range contacts {
		all = append(all, exported{CustomerID: contact.CustomerID, Contact: &contact})
	}
	same := func(e exported) bool { return e.CustomerID == person.CustomerID }
	if person.CustomerID != 0 && !slices.ContainsFunc(all, same) {
		all = append(all, exported{CustomerID: person.CustomerID})
	}
	for i := range all {
		e := &all[i]
		if e.AgentTags, err = c.agents.tags(ctx, person.Connection, e.CustomerID); err != nil {
			return nil, err
		}
		if e.Messages, err = c.agents.messages(ctx, person.Connection, e.CustomerID, allMessages); err != nil {
			return nil, err
		}
		if e.OptedOutAt, err = c.agents.optedOut(ctx, person.Connection, e.CustomerID); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(all, func(e exported) bool {
		return e.Contact == nil && len(e.AgentTags) == 0 && len(e.Messages) == 0 && e.OptedOutAt.IsZero()
	}), nil
}

func (c *console) download(w http.ResponseWriter, r *http.Request, person shopifysync.PersonParams) error {
	all, err := c.export(r.Context(), person)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="export.json"`)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(all) // a browser that is gone
	return nil
}
