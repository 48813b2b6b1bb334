package main

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/omnichat/shopifysync"
)

type privacyBody struct {
	By, Who  string
	Unsure   bool // an erasure that was not confirmed
	Exported bool
	Found    []cardView
	Receipt  *shopifysync.ErasureReceipt
	Requests []dataRequest
}

func (c *console) privacyForm(w http.ResponseWriter, r *http.Request) error {
	return c.showPrivacy(w, r, privacyBody{By: "email"}, "", nil)
}

// showPrivacy shows the form with what was done; wrong names a problem.
func (c *console) showPrivacy(w http.ResponseWriter, r *http.Request, b privacyBody, wrong string, found []shopifysync.Contact) error {
	p, conn, _, err := c.storePage(r, "privacy")
	if err != nil {
		return err
	}
	if b.Requests, err = c.agents.requests(r.Context(), conn.ID); err != nil {
		return err
	}
	for _, contact := range found {
		b.Found = append(b.Found, p.card(contact))
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
		found, err := c.syncer.Export(r.Context(), person)
		if err != nil {
			return err
		}
		b.Exported = true
		return c.showPrivacy(w, r, b, "", found)
	}
	return errNotFound
}

// An exported is all that is kept of a person: what the library has, and what
// the host itself has.
type exported struct {
	Contact   shopifysync.Contact `json:"contact"`
	AgentTags []string            `json:"agent_tags"`
	Messages  []message           `json:"messages"`
}

func (c *console) download(w http.ResponseWriter, r *http.Request, person shopifysync.PersonParams) error {
	found, err := c.syncer.Export(r.Context(), person)
	if err != nil {
		return err
	}
	all := make([]exported, len(found))
	for i, contact := range found {
		all[i].Contact = contact
		if all[i].AgentTags, err = c.agents.tags(r.Context(), contact.Connection, contact.CustomerID); err != nil {
			return err
		}
		if all[i].Messages, err = c.agents.messages(r.Context(), contact.Connection, contact.CustomerID); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="export.json"`)
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(all) // a browser that is gone
	return nil
}
