package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/omnichat/shopifysync"
)

// What the library says of records, subscriptions and connections is said in
// Chinese on Chinese pages: all of it, as its sources have it now.
func TestReasonLabel(t *testing.T) {
	const text = `("(?:[^"\\]|\\.)*")`
	read := func(file, pattern string) []string {
		t.Helper()
		source, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1) {
			s, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, strings.TrimSpace(s))
		}
		if len(all) == 0 {
			t.Fatalf("%s has nothing like %s any more", file, pattern)
		}
		return all
	}
	const limits, memory, subscriptions = "sqlstore/contact_limits.go", "store_memory.go", "connect_subscriptions.go"
	var reasons []string
	for _, file := range []string{limits, memory} {
		for _, s := range read(file, `return `+text+`\n`) {
			if s != "" && !strings.HasPrefix(s, "has ") {
				reasons = append(reasons, "refused by the contact store: "+s)
			}
		}
	}
	subjects := append(read(limits, `return `+text+` \+ (?:why|unstorable)`), read(memory, `return `+text+` \+ unstorable`)...)
	subjects = append(subjects, read(memory, `("the [^"]+"), (?:c\.|string)`)...)
	predicates := append(read(limits, `return ("has [^"]+")`), read(limits, `why = ("is [^"]+")`)...)
	predicates = append(append(predicates, read(limits, `unstorable = `+text)...), read(memory, `unstorable = `+text)...)
	for _, predicate := range predicates {
		for _, subject := range append(subjects, "the attribute shopify.note") {
			reasons = append(reasons, "refused by the contact store: "+subject+" "+predicate)
		}
	}
	for _, s := range append(read("mapper_default.go", `Reason\(`+text), read("client_hosterror.go", `errPanicked = Reason\(`+text)...) {
		reasons = append(reasons, "mapper: "+s)
	}
	for _, doing := range []string{"mapper", "the host's erasure"} {
		for _, s := range read("client_hosterror.go", `fmt\.Sprintf\(("a %T, [^"]+")`) {
			reasons = append(reasons, doing+": "+strings.ReplaceAll(s, "%T", "*errors.errorString"))
		}
	}
	for _, s := range append(read("internal/bulk/values.go", `d\.wrong\((?:key \+ )?`+text), read("internal/bulk/decode.go", `d\.reason = `+text)...) {
		switch {
		case strings.HasPrefix(s, "is not "):
			s = "firstName " + s
		case strings.HasSuffix(s, "(byte"):
			s += " 12)"
		}
		reasons = append(reasons, "bulk: "+s+": read the customer by its id")
	}
	reasons = append(reasons, read("sync_write.go", `out\.fail\(id, `+text)...)
	reasons = append(reasons, read("sync_write.go", `return ("left out")`)...)
	reasons = append(reasons, read("sync_pipeline.go", `reason = ("other")`)...)
	reasons = append(reasons, read("drain.go", `reasonRefused = `+text)...)
	reasons = append(reasons, read("member.go", `Reason: `+text)...)
	reasons = append(reasons, read("catchup.go", `reasonCatchUp = `+text)...)
	reasons = append(reasons, read("webhook.go", `("customers?\w*[/.]\w+")`)...)
	of := read(subscriptions, `(?:reason\w+ += |Reason\(|Reason = SubscriptionSkipped, fmt\.Sprintf\()`+text)
	of = append(of, "shopify WebhookSubscriptions: HTTP 402: "+shopifysync.ErrShopFrozen.Error())
	for _, s := range of {
		s = strings.ReplaceAll(s, "%s", "read_customer_merge")
		reasons = append(reasons, s, "webhooks customers/merge are not subscribed to: "+s)
	}
	for _, s := range read("connect_check.go", `h\.warn\(`+text) {
		reasons = append(reasons, strings.NewReplacer("%s", "2024-04", "%v", "name,email").Replace(s))
	}
	// Names that every language has.
	names := regexp.MustCompile(`Shopify|Webhook|WhatsApp|Email|API|JSON|MiB|https|SMS|RemoveContacts|\*errors\.errorString|firstName|tags|id|` +
		`read_customers|read_customer_merge|name,email|customers?\w*[/.]\w+`)
	for _, s := range reasons {
		label := traditionalChinese.ReasonLabel(s)
		if left := regexp.MustCompile(`[A-Za-z]+`).FindString(names.ReplaceAllString(label.Text, "")); label.Lang != "" || left != "" || strings.ContainsAny(label.Text, "%"+simplified) {
			t.Errorf("%q is said as %q (%s)", s, label.Text, label.Lang)
		}
		if label := english.ReasonLabel(s); label.Text != s || label.Lang != "" {
			t.Errorf("%q is said as %q in English", s, label.Text)
		}
	}
	if label := traditionalChinese.ReasonLabel("somebody else's words"); label.Text != "somebody else's words" || label.Lang != "en" {
		t.Errorf("what is not known is said as %+v", label)
	}
}
