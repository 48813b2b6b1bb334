package shopifysync_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// logged makes a Syncer log to the world's log.
func (w *world) logged() shopifysync.Option {
	return shopifysync.WithLogger(slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// mutations counts the requests that change subscriptions.
func (w *world) mutations() int {
	return w.server.Count("CreateWebhookSubscription") + w.server.Count("UpdateWebhookSubscription") + w.server.Count("DeleteWebhookSubscription")
}

// graphql asks the store as somebody else with the same app would.
func (w *world) graphql(query string, variables map[string]any) {
	w.t.Helper()
	if id, ok := variables["id"].(int64); ok {
		variables["id"] = fmt.Sprintf("gid://shopify/WebhookSubscription/%d", id)
	}
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "https://"+w.shop.Config().Domain+"/admin/api/2026-01/graphql.json", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Shopify-Access-Token", w.shop.Config().AccessToken)
	answer, err := w.server.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || strings.Contains(string(text), `"message"`) {
		w.t.Fatalf("%v %s", err, text)
	}
}

func (w *world) addSubscription(s shopifytest.Subscription) {
	w.t.Helper()
	w.graphql(`mutation($topic: WebhookSubscriptionTopic!, $url: URL!, $fields: [String!]) {
		webhookSubscriptionCreate(topic: $topic, webhookSubscription: {callbackUrl: $url, format: JSON, includeFields: $fields}) { userErrors { message } }
	}`, map[string]any{"topic": s.Topic, "url": s.URL, "fields": s.IncludeFields})
}

// delivered is a webhook of a topic as the store would send it.
func (w *world) delivered(topic string, ids ...int64) (shopifysync.Event, []byte) {
	w.t.Helper()
	r, err := w.shop.Delivery(topic, ids...)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	ev, err := shopifysync.ParseWebhook(r.Header, body, shopifysync.NewSecret("client-secret"))
	if err != nil {
		w.t.Errorf("%s: %v in %s", topic, err, body)
	}
	return ev, body
}

// endless makes a list of subscriptions go on for ever.
func endless(m map[string]any) {
	delete(m, "errors") // about a cursor that is unknown
	m["data"] = map[string]any{"webhookSubscriptions": map[string]any{
		"nodes": []any{}, "pageInfo": map[string]any{"hasNextPage": true, "endCursor": "again"},
	}}
}

// userError refuses the creation of a subscription.
func userError(field, message string) func(map[string]any) {
	return func(m map[string]any) {
		m["data"].(map[string]any)["webhookSubscriptionCreate"] = map[string]any{
			"webhookSubscription": nil, "userErrors": []any{map[string]any{"field": []any{field}, "message": message}},
		}
	}
}
