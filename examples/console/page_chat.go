package main

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// A chatBody is a conversation with the member's card beside it.
type chatBody struct {
	cardView
	Number   string // as typed: digits or a global id
	Contact  *shopifysync.Contact
	Removed  shopifysync.RemovalReason
	Who      string
	Messages []message
}

// chat shows what an agent sees when a logged-in member writes. The shop tells
// the host who is logged in; here it is typed.
func (c *console) chat(w http.ResponseWriter, r *http.Request) error {
	p, conn, _, err := c.storePage(r, "chat")
	if err != nil {
		return err
	}
	p.Title = p.T.NavChat
	b := chatBody{Number: strings.TrimSpace(r.FormValue("member"))}
	if b.Number == "" {
		p.Body = b
		return c.show(w, r, "chat", p)
	}
	id, err := shopifysync.ParseCustomerID(b.Number)
	if err != nil {
		return c.refuseChat(w, r, p, b, newProblem(p.T, "member number", "member"))
	}
	contact, err := c.syncer.Member(r.Context(), shopifysync.MemberParams{Connection: conn.ID, Number: b.Number})
	if err != nil {
		// A conversation outlives its contact, and the connection.
		got, readErr := c.store.Contacts(r.Context(), shopifysync.ContactsParams{Connection: conn.ID, IDs: []shopifysync.CustomerID{id}})
		if readErr != nil {
			return readErr
		}
		if len(got.Contacts) == 1 {
			contact, err = got.Contacts[0], nil
		}
	}
	switch {
	case errors.Is(err, shopifysync.ErrNoMember):
		return c.refuseChat(w, r, p, b, newProblem(p.T, "no member", "member"))
	case err != nil:
		return c.refuseChat(w, r, p, b, c.problem(p.T, err))
	}
	b.cardView, b.Contact, b.Removed, b.Who = p.card(contact), &contact, contact.Removed, contact.Name
	if b.Who == "" {
		b.Who = p.T.Member
	}
	if b.Messages, err = c.agents.messages(r.Context(), conn.ID, id, lastMessages); err != nil {
		return err
	}
	at, err := c.agents.optedOut(r.Context(), conn.ID, id)
	if err != nil {
		return err
	}
	b.optOut(at)
	if b.AgentTags, err = c.agents.tags(r.Context(), conn.ID, id); err != nil {
		return err
	}
	p.Body = b
	return c.show(w, r, "chat", p)
}

// refuseChat shows why there is no member to talk to, beside the field.
func (c *console) refuseChat(w http.ResponseWriter, r *http.Request, p *page, b chatBody, why *problem) error {
	p.Body, p.Problem = b, why
	c.render(w, r, http.StatusUnprocessableEntity, "chat", p)
	return nil
}

func (c *console) say(w http.ResponseWriter, r *http.Request) error {
	conn, err := c.storeOf(r)
	if err != nil {
		return err
	}
	id, err := shopifysync.ParseCustomerID(r.PostFormValue("member"))
	if err != nil {
		return errNotFound
	}
	if live, err := c.live(r, conn.ID, id); err != nil || !live {
		return cmp.Or(err, errNotFound)
	}
	m := message{FromMember: r.PostFormValue("as") == "member", Body: r.PostFormValue("say"), At: time.Now()}
	if err := c.agents.say(r.Context(), conn.ID, id, m); err != nil {
		return err
	}
	c.signal.tell()
	return seeOther(w, r, storePath(conn.ID, "/chat?"+url.Values{"member": {id.String()}}.Encode()))
}
