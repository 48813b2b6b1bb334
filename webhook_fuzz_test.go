package shopifysync_test

import (
	"context"
	"encoding/base64"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

var (
	webhookBodies = flag.Int("webhook.bodies", 20_000, "how many random bodies TestWebhookRandomBodies sends")
	webhookFlips  = flag.Int("webhook.flips", 5_000, "how many signed bodies with a flipped bit it sends")
	webhookSeed   = flag.Uint64("webhook.seed", 0, "its seed; 0: the time")
)

// A target is a handler whose Shopify refuses every token, and what it writes.
type target struct {
	h     http.Handler
	store *shopifysync.MemoryStore
	s     *shopifysync.Syncer
}

func newTarget(tb testing.TB) *target {
	tb.Helper()
	m := &target{store: shopifysync.NewMemoryStore()}
	conn := shopifysync.Connection{
		ID: connID, Shop: "demo.myshopify.com",
		Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret("token"), ClientSecret: shopifysync.NewSecret(clientSecret)},
	}
	refuses := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	})}
	var err error
	m.s, err = shopifysync.New(m.store, shopifysync.StaticConnections(conn), shopifysync.WithStateStore(durable{m.store}), shopifysync.WithHTTPClient(refuses))
	if err != nil {
		tb.Fatal(err)
	}
	m.h = mount(m.s)
	return m
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// marks returns how many marks there are.
func (m *target) marks(tb testing.TB) int64 {
	got, err := m.store.Marks(context.Background(), shopifysync.MarksParams{Connection: connID, Limit: 1})
	if err != nil {
		tb.Fatal(err)
	}
	return got.Open
}

// samples are the bodies of every topic of every version.
func samples(tb testing.TB) []capture {
	server := shopifytest.NewServer()
	defer server.Close()
	shop := server.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com", ShopID: 99})
	kept := shop.Create(shopifytest.Customer{FirstName: "Ann", Email: "ann@example.com", Phone: "+886912345678", Note: "\\\"{}", Tags: []string{"VIP"}}).ID
	gone := shop.Create(shopifytest.Customer{FirstName: "Bob"}).ID
	var all []capture
	for _, version := range shopifytest.Versions() {
		for _, topic := range shopifytest.Topics(version) {
			r, err := shop.DeliveryOf(version, topic, kept, gone)
			if err != nil {
				tb.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, capture{topic, version, r.Header, body})
		}
	}
	return all
}

// FuzzWebhookHandler: whatever is sent, unsigned it is refused, and signed it
// is answered by what was said; nothing panics.
func FuzzWebhookHandler(f *testing.F) {
	for _, c := range samples(f) {
		f.Add(c.topic, c.body, c.header.Get("X-Shopify-Hmac-Sha256"), "tenant-1")
	}
	f.Add("customers/update", []byte(`{"id":1,"ID":2,"updated_at":"\u0000"}`), "", "")
	f.Add("customers/redact", []byte(`{"shop_id":99,"shop_domain":"demo.myshopify.com","customer":{"email":"a"},"orders_to_redact":[]}`), "=", "a/b")
	f.Add("", []byte(strings.Repeat("[", 10_001)), "AAAA", "\x00")
	f.Fuzz(func(t *testing.T, topic string, body []byte, signature, id string) {
		m := newTarget(t)
		want := shopifytest.Sign(clientSecret, body)
		send := func(signature string) int {
			r := capture{body: body, header: http.Header{"X-Shopify-Topic": {topic}, "X-Shopify-Hmac-Sha256": {signature}}}.to("/webhooks/shopify/x")
			r.SetPathValue("connection", id)
			w := &nowhere{header: http.Header{}}
			m.s.WebhookHandler().ServeHTTP(w, r)
			return w.status
		}
		if got := send(signature); got != http.StatusUnauthorized && signature != want && len(body) <= 1<<20 {
			t.Errorf("unsigned: status %d", got)
		}
		if signature != want && m.marks(t) != 0 {
			t.Error("unsigned, and it left a mark")
		}
		id = string(connID)
		before := m.marks(t)
		switch got := send(want); {
		case got != http.StatusOK && got != http.StatusUnprocessableEntity && got != http.StatusRequestEntityTooLarge:
			t.Errorf("signed: status %d", got)
		case got != http.StatusOK && m.marks(t) != before:
			t.Error("refused, and it left a mark")
		}
	})
}

// nowhere is an answer of which only the status counts.
type nowhere struct {
	header http.Header
	status int
}

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (w *nowhere) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Random bodies, and signed ones with a bit flipped: none is accepted.
func TestWebhookRandomBodies(t *testing.T) {
	seed := *webhookSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-webhook.seed=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	m := newTarget(t)
	all := samples(t)
	pieces := strings.Split(`{ } [ ] , : " \ \u0000 null true 1e9 -1 "id" "customer" "shop_id" "shop_domain" "updated_at" "admin_graphql_api_customer_kept_id" 9223372036854775808 gid://shopify/Customer/1`, " ")
	send := func(topic string, body []byte, signature string) int {
		r := capture{body: body, header: http.Header{"X-Shopify-Topic": {topic}, "X-Shopify-Hmac-Sha256": {signature}}}.to("/webhooks/shopify/tenant-1")
		w := &nowhere{header: http.Header{}}
		m.h.ServeHTTP(w, r)
		return w.status
	}
	for range *webhookBodies {
		c := all[random.IntN(len(all))]
		body := append([]byte(nil), c.body...)
		switch random.IntN(3) {
		case 0: // noise
			body = body[:random.IntN(len(body)+1)]
			for i := range body {
				body[i] = byte(random.Uint32())
			}
		case 1: // JSON's pieces
			body = body[:0]
			for range random.IntN(40) {
				body = append(body, pieces[random.IntN(len(pieces))]...)
			}
		case 2: // a genuine one with pieces in it
			for range 1 + random.IntN(4) {
				at := random.IntN(len(body) + 1)
				body = append(body[:at:at], append([]byte(pieces[random.IntN(len(pieces))]), body[min(at+random.IntN(3), len(body)):]...)...)
			}
		}
		topic := all[random.IntN(len(all))].topic
		if got := send(topic, body, base64.StdEncoding.EncodeToString(body[:min(len(body), 32)])); got != http.StatusUnauthorized {
			t.Fatalf("unsigned %s: status %d: %q", topic, got, body)
		}
		if got := send(topic, body, shopifytest.Sign(clientSecret, body)); got != http.StatusOK && got != http.StatusUnprocessableEntity {
			t.Fatalf("signed %s: status %d: %q", topic, got, body)
		}
	}
	before := m.marks(t)
	for range *webhookFlips {
		c := all[random.IntN(len(all))]
		body := append([]byte(nil), c.body...)
		signature := []byte(c.header.Get("X-Shopify-Hmac-Sha256"))
		if bit := random.IntN(8 * (len(body) + len(signature))); bit < 8*len(body) {
			body[bit/8] ^= 1 << (bit % 8)
		} else {
			bit -= 8 * len(body)
			signature[bit/8] ^= 1 << (bit % 8)
		}
		if got := send(c.topic, body, string(signature)); got != http.StatusUnauthorized {
			t.Fatalf("flipped %s: status %d: %q, %q", c.topic, got, body, signature)
		}
	}
	if after := m.marks(t); after != before {
		t.Errorf("%d marks came from flipped bodies", after-before)
	}
}
