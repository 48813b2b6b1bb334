package shopifysync

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
)

// posted is a webhook for a path value.
func posted(id string, body []byte, secret Secret) *http.Request {
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: "/"}, Header: signedHeader("customers/update", body, secret),
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	r.SetPathValue("connection", id)
	return r
}

// deaf is an answer that nobody reads.
type deaf struct {
	header http.Header
	status int
}

func (w *deaf) Header() http.Header         { return w.header }
func (w *deaf) Write(b []byte) (int, error) { return len(b), nil }
func (w *deaf) WriteHeader(status int)      { w.status = status }

// lasting is a state store that claims to outlive the process.
type lasting struct{ *MemoryStore }

func (lasting) Volatile() bool { return false }

func webhookSyncer(t testing.TB) *Syncer {
	t.Helper()
	store := NewMemoryStore()
	s, err := New(store, StaticConnections(Connection{
		ID: "known", Shop: "demo.myshopify.com", Credentials: Credentials{AccessToken: NewSecret("token"), ClientSecret: webhookSecret},
	}), WithStateStore(lasting{store}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Anybody can send any connection's id: nothing stays of it.
func TestWebhookKeepsNothingOfStrangers(t *testing.T) {
	s := webhookSyncer(t)
	h := s.WebhookHandler()
	body := []byte(`{"id":1}`)
	for i := range 2000 {
		for _, r := range []*http.Request{
			posted(fmt.Sprint("stranger ", i), body, webhookSecret), posted("known", body, NewSecret("wrong")),
		} {
			w := &deaf{header: http.Header{}}
			if h.ServeHTTP(w, r); w.status != http.StatusUnauthorized {
				t.Fatalf("status %d", w.status)
			}
		}
	}
	if n := len(s.shared) + len(s.asked) + len(s.noted) + len(s.changed); n != 0 {
		t.Errorf("%d entries are kept", n)
	}
	w := &deaf{header: http.Header{}}
	if h.ServeHTTP(w, posted("known", body, webhookSecret)); w.status != http.StatusOK || len(s.shared) != 1 || len(s.asked) != 0 {
		t.Errorf("status %d, %d and %d entries", w.status, len(s.shared), len(s.asked))
	}
	if len(s.slots)+len(s.large) != 0 {
		t.Error("slots are taken")
	}
}

// A webhook costs its body and little more, verified or not.
func TestWebhookHandlerCost(t *testing.T) {
	s := webhookSyncer(t)
	h := s.WebhookHandler()
	note := strings.Repeat("note ", 100_000)
	large := []byte(strings.Replace(customerUpdateBody, "This customer", note+"This customer", 1))
	for name, body := range map[string][]byte{"1.3 KB": []byte(customerUpdateBody), "0.5 MB": large} {
		for _, secret := range []Secret{webhookSecret, NewSecret("wrong")} {
			const rounds = 50
			requests := make([]*http.Request, rounds)
			for i := range requests {
				requests[i] = posted("known", body, secret)
			}
			w := &deaf{header: http.Header{}}
			h.ServeHTTP(w, posted("known", body, secret))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for _, r := range requests {
				h.ServeHTTP(w, r)
			}
			runtime.ReadMemStats(&after)
			allocs, size := (after.Mallocs-before.Mallocs)/rounds, int(after.TotalAlloc-before.TotalAlloc)/rounds
			t.Logf("%s: status %d, %d allocations, body and %d bytes", name, w.status, allocs, size-len(body))
			if underRace { // see there
				continue
			}
			if over := size - len(body); allocs > 60 || over > 8<<10 && (len(body) <= smallWebhook || over > smallWebhook+32<<10) {
				t.Errorf("%s: status %d, %d allocations, body and %d bytes", name, w.status, allocs, over)
			}
		}
	}
}

// To refuse a signature takes the same work whatever secrets there are.
func TestWebhookSecretsAreTwo(t *testing.T) {
	s := webhookSyncer(t)
	for _, c := range []Credentials{{}, {ClientSecret: NewSecret("a")}, {PreviousClientSecret: NewSecret("b")}, {ClientSecret: NewSecret("a"), PreviousClientSecret: NewSecret("b")}} {
		got := s.webhookSecrets(Connection{Credentials: c})
		if len(got) != 2 || got[0].IsZero() || got[1].IsZero() {
			t.Errorf("%+v: %d secrets, empty %v and %v", c, len(got), got[0].IsZero(), got[1].IsZero())
		}
		if !c.ClientSecret.IsZero() && !got[0].Equal(c.ClientSecret) || !c.PreviousClientSecret.IsZero() && !got[1].Equal(c.PreviousClientSecret) {
			t.Errorf("%+v: its own secrets are not among them", c)
		}
	}
	if other := webhookSyncer(t); len(s.nobody.Reveal()) < 40 || other.nobody.Equal(s.nobody) {
		t.Error("nobody's secret can be known")
	}
}
