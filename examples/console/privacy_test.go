package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// An export has all that is kept, also of somebody whose contact is gone.
func TestExportHasEverything(t *testing.T) {
	c := startConsole(t, demoConfig{})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	ming := c.demo.store("demo-shop").Newest(1)[0]
	number := fmt.Sprint(ming.ID)
	c.post(storePath(id, "/contacts/"+number+"/tags"), "add", "regular")
	const messages = lastMessages + 5
	for i := range messages {
		c.post(storePath(id, "/chat"), "member", number, "say", fmt.Sprintf("message %d.", i), "as", "member")
	}
	check := func(by, who string, contact bool) {
		t.Helper()
		resp, body := c.post(storePath(id, "/privacy"), "by", by, "who", who, "do", "download")
		var got []exported
		if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != http.StatusOK || len(got) != 1 {
			t.Fatalf("%s: %v\n%s", resp.Status, err, body)
		}
		if e := got[0]; len(e.Messages) != messages || len(e.AgentTags) != 1 || e.CustomerID.String() != number || (e.Contact != nil) != contact {
			t.Errorf("by %s: %d messages, tags %v, of %v, contact %v", by, len(e.Messages), e.AgentTags, e.CustomerID, e.Contact)
		}
		_, body = c.post(storePath(id, "/privacy"), "by", by, "who", who, "do", "export")
		for _, want := range []string{"regular", "message 0.", fmt.Sprintf("message %d.", messages-1)} {
			if !strings.Contains(body, want) {
				t.Errorf("by %s: the page lacks %q:\n%s", by, want, body)
			}
		}
	}
	check("email", ming.Email, true)
	if err := c.demo.store("demo-shop").Delete(ming.ID); err != nil {
		t.Fatal(err)
	}
	c.sync(id)
	check("id", number, false)
	if _, body := c.post(storePath(id, "/privacy"), "by", "id", "who", "1", "do", "download"); strings.TrimSpace(body) != "[]" {
		t.Errorf("of a stranger:\n%s", body)
	}
}

// An opt-out in the chat beats what Shopify has, outlives a sync, and is the
// person's: exported, and erased.
func TestOptOut(t *testing.T) {
	c := startConsole(t, demoConfig{})
	id := c.connectDemo("demo-shop")
	c.sync(id)
	number := fmt.Sprint(c.demo.store("demo-shop").Newest(1)[0].ID)
	contact, chat := storePath(id, "/contacts/"+number), storePath(id, "/chat?member="+number)
	shown := func(want bool) {
		t.Helper()
		for _, path := range []string{contact, chat} {
			if _, body := c.get(path); strings.Contains(body, `<span class="badge bad">`+english.OptedOut+`</span>`) != want {
				t.Errorf("%s: opted out is not %v:\n%s", path, want, body)
			} else if strings.Contains(body, english.MayMarket+": Email<") == want || strings.Contains(body, english.MayNotMarket) != want {
				t.Errorf("%s: what may be sent:\n%s", path, body)
			}
		}
	}
	shown(false)
	resp, _ := c.post(contact+"/opt-out", "out", "yes", "back", chat)
	if resp.Request.URL.RequestURI() != chat {
		t.Errorf("the switch leads to %s", resp.Request.URL)
	}
	c.sync(id)
	shown(true)
	if _, body := c.post(storePath(id, "/privacy"), "by", "id", "who", number, "do", "download"); !strings.Contains(body, `"opted_out_at"`) {
		t.Errorf("the export:\n%s", body)
	}
	c.post(contact+"/opt-out", "out", "")
	shown(false)
	c.post(contact+"/opt-out", "out", "yes")
	c.post(storePath(id, "/privacy"), "by", "id", "who", number, "do", "erase", "sure", "yes")
	if resp, _ := c.post(contact+"/opt-out", "out", "yes"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("kept anew of an erased person: %s", resp.Status)
	}
	var n int
	if err := c.db.QueryRow(`SELECT COUNT(*) FROM console_opt_outs`).Scan(&n); err != nil || n > 0 {
		t.Errorf("%d opt-outs are left: %v", n, err)
	}
}
