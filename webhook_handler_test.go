package shopifysync_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

const clientSecret = "client-secret" // the fake's default

// durable is a state store that claims to outlive the process.
type durable struct{ *shopifysync.MemoryStore }

func (durable) Volatile() bool { return false }

// signs gives the world's connection the secret that signs webhooks.
func (w *world) signs() *world {
	w.conn.Credentials.ClientSecret = shopifysync.NewSecret(clientSecret)
	return w
}

// mount mounts a Syncer's handler as its comment says.
func mount(s *shopifysync.Syncer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/webhooks/shopify/{connection}", s.WebhookHandler())
	mux.Handle("/webhooks/shopify", s.WebhookHandler())
	return mux
}

// delivery is a genuine webhook of the world's store, for its connection.
func (w *world) delivery(topic string, customers ...int64) *http.Request {
	w.t.Helper()
	r, err := w.shop.Delivery(topic, customers...)
	if err != nil {
		w.t.Fatal(err)
	}
	r.URL.Path = "/webhooks/shopify/" + string(connID)
	return r
}

// signed is a webhook of any body.
func signed(path, topic, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("X-Shopify-Topic", topic)
	r.Header.Set("X-Shopify-Hmac-Sha256", shopifytest.Sign(clientSecret, []byte(body)))
	r.Header.Set("X-Shopify-Shop-Domain", "demo.myshopify.com")
	return r
}

// answered is what can be seen of an answer.
type answered struct {
	Status int
	Header http.Header
	Body   string
}

func answer(h http.Handler, r *http.Request) answered {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answered{w.Code, w.Header(), w.Body.String()}
}

// status answers a request and returns the status alone.
func status(h http.Handler, r *http.Request) int { return answer(h, r).Status }

// tampered is a genuine webhook whose signature is of another body.
func (w *world) tampered() *http.Request {
	r := w.delivery("customers/update", w.ids()[0])
	r.Body = io.NopCloser(strings.NewReader(`{"id":1}`))
	r.ContentLength = 8
	return r
}

func TestWebhookAnswers(t *testing.T) {
	const update = "customers/update"
	path := "/webhooks/shopify/" + string(connID)
	unprefixed := func(r *http.Request) *http.Request {
		for name, values := range r.Header {
			delete(r.Header, name)
			r.Header[strings.TrimPrefix(name, "X-")] = values
		}
		return r
	}
	without := func(name string, r *http.Request) *http.Request {
		r.Header.Del(name)
		return r
	}
	with := func(r *http.Request, method string) *http.Request {
		r.Method = method
		return r
	}
	tests := []struct {
		name string
		r    func(w *world) *http.Request
		want int
	}{
		{"update", func(w *world) *http.Request { return w.delivery(update, w.ids()[0]) }, 200},
		{"by the shop's header", func(w *world) *http.Request {
			r := w.delivery(update, w.ids()[0])
			r.URL.Path = "/webhooks/shopify"
			return r
		}, 200},
		{"headers without X-", func(w *world) *http.Request { return unprefixed(w.delivery(update, w.ids()[0])) }, 200},
		{"unknown topic", func(*world) *http.Request { return signed(path, "orders/create", `{"id":1}`) }, 200},
		{"unknown topic, no JSON", func(*world) *http.Request { return signed(path, "orders/create", `<order/>`) }, 200},
		{"GET", func(w *world) *http.Request { return with(w.delivery(update, w.ids()[0]), http.MethodGet) }, 405},
		{"HEAD", func(w *world) *http.Request { return with(w.delivery(update, w.ids()[0]), http.MethodHead) }, 405},
		{"PUT", func(w *world) *http.Request { return with(w.delivery(update, w.ids()[0]), http.MethodPut) }, 405},
		{"another body", (*world).tampered, 401},
		{"no signature", func(w *world) *http.Request {
			return without("X-Shopify-Hmac-Sha256", w.delivery(update, w.ids()[0]))
		}, 401},
		{"no topic", func(w *world) *http.Request { return without("X-Shopify-Topic", w.delivery(update, w.ids()[0])) }, 422},
		{"no JSON", func(*world) *http.Request { return signed(path, update, "id=1") }, 422},
		{"no customer", func(*world) *http.Request { return signed(path, update, "{}") }, 422},
		{"empty", func(*world) *http.Request { return signed(path, update, "") }, 422},
		{"another topic's body", func(w *world) *http.Request {
			r := w.delivery("customers/merge", w.ids()[0], w.ids()[1])
			r.Header.Set("X-Shopify-Topic", update)
			return r
		}, 422},
		{"no shop and no connection", func(w *world) *http.Request {
			return without("X-Shopify-Shop-Domain", with(signed("/webhooks/shopify", update, `{"id":1}`), "POST"))
		}, 401},
		{"customer who is unknown", func(*world) *http.Request { return signed(path, update, `{"id":1}`) }, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, 10, func(t *testing.T, w *world) {
				var hooked []shopifysync.WebhookEndInfo
				s := w.signs().syncer(shopifysync.WithHooks(shopifysync.Hooks{
					WebhookEnd: func(_ context.Context, info shopifysync.WebhookEndInfo) { hooked = append(hooked, info) },
				}))
				r := tt.r(w)
				got := answer(mount(s), r)
				if got.Status != tt.want {
					t.Errorf("status %d, want %d: %s", got.Status, tt.want, w.log)
				}
				if allow := got.Header.Get("Allow"); (allow == http.MethodPost) != (tt.want == 405) {
					t.Errorf("Allow: %q", allow)
				}
				wantHooks := 1
				if tt.want == 401 || tt.want == 405 { // not verified
					wantHooks = 0
				}
				if len(hooked) != wantHooks {
					t.Fatalf("the hook was called %d times, want %d", len(hooked), wantHooks)
				}
				if wantHooks == 1 {
					info := hooked[0]
					if (info.Err == nil) != (tt.want == 200) || info.Connection != connID || info.Known != (tt.want != 422 && !strings.Contains(tt.name, "unknown topic") || info.Topic == update) {
						t.Errorf("%+v", info)
					}
				}
			})
		})
	}
}

// Who has no right to know cannot tell a wrong signature from a connection
// that does not exist, has no secret or is no longer connected.
func TestWebhookRefusalsLookAlike(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		w.signs()
		other := func(id string, change func(*shopifysync.Connection)) shopifysync.Connection {
			c := w.conn
			c.ID = shopifysync.ConnectionID(id)
			change(&c)
			return c
		}
		conns := shopifysync.StaticConnections(w.conn,
			other("no secret", func(c *shopifysync.Connection) { c.Credentials.ClientSecret = shopifysync.Secret{} }),
			other("previous secret", func(c *shopifysync.Connection) {
				c.Credentials.ClientSecret, c.Credentials.PreviousClientSecret = shopifysync.NewSecret("a"), shopifysync.NewSecret("b")
			}),
			other("disconnected", func(*shopifysync.Connection) {}))
		gone := shopifysync.ConnectionState{Connection: "disconnected", Disconnected: &shopifysync.Disconnection{At: time.Now()}}
		if _, err := w.store.SaveConnectionState(t.Context(), shopifysync.SaveConnectionStateParams{State: gone}); err != nil {
			t.Fatal(err)
		}
		s, err := shopifysync.New(w.store, conns, shopifysync.WithHTTPClient(w.server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		h := mount(s)
		want := answer(h, w.tampered())
		if want.Status != http.StatusUnauthorized {
			t.Fatalf("%+v", want)
		}
		for _, id := range []string{"nobody", "no secret", "previous secret", "disconnected", "a\x00b", "\xff", strings.Repeat("x", 256), "..", "tenant-2", "TENANT-1"} {
			r := w.delivery("customers/update", w.ids()[0])
			r.URL.Path = "/webhooks/shopify/x"
			r.SetPathValue("connection", id)
			got := httptest.NewRecorder()
			s.WebhookHandler().ServeHTTP(got, r)
			if diff := cmp.Diff(want, answered{got.Code, got.Header(), got.Body.String()}); diff != "" {
				t.Errorf("%q (-wrong signature +got):\n%s", id, diff)
			}
		}
		for _, shop := range []string{"", "other.myshopify.com", "demo.myshopify.com.example.com"} {
			r := w.delivery("customers/update", w.ids()[0])
			r.URL.Path = "/webhooks/shopify"
			r.Header.Set("X-Shopify-Shop-Domain", shop)
			if diff := cmp.Diff(want, answer(h, r)); diff != "" {
				t.Errorf("shop %q (-wrong signature +got):\n%s", shop, diff)
			}
		}
		if n := len(w.server.Requests()); n != 0 {
			t.Errorf("%d requests to Shopify", n)
		}
		if left := w.openMarks(); len(left) != 0 || len(w.contacts()) != 0 {
			t.Errorf("something was written: %+v", left)
		}
	})
}

// Every connection of the shop whose secret signed the webhook gets it, and
// one that fails has it sent again.
func TestWebhookOfAShopWithSeveralConnections(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		w.signs()
		second, third := w.conn, w.conn
		second.ID, third.ID = "second", "third"
		third.Credentials.ClientSecret = shopifysync.NewSecret("another")
		state := &deafState{durable: durable{w.store}}
		s, err := shopifysync.New(w.store, shopifysync.StaticConnections(w.conn, second, third), shopifysync.WithStateStore(state), shopifysync.WithHTTPClient(w.server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		deliver := func() int {
			r := w.delivery("customers/update", w.ids()[0])
			r.URL.Path = "/webhooks/shopify"
			return status(mount(s), r)
		}
		marked := func() (out []shopifysync.ConnectionID) {
			got, err := w.store.DueConnections(t.Context(), shopifysync.DueConnectionsParams{DueBy: time.Now().Add(time.Minute), Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			return got.Connections
		}
		state.deaf = "second"
		if got := deliver(); got != http.StatusServiceUnavailable {
			t.Errorf("one of two failed: status %d", got)
		}
		state.deaf = ""
		if got := deliver(); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		if diff := cmp.Diff([]shopifysync.ConnectionID{"second", connID}, marked()); diff != "" {
			t.Errorf("marked (-want +got):\n%s", diff)
		}
	})
}

// deafState takes no marks of one connection.
type deafState struct {
	durable
	deaf shopifysync.ConnectionID
}

func (d *deafState) PutMarks(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
	if p.Connection == d.deaf {
		return shopifysync.PutMarksResult{}, errors.New("down")
	}
	return d.durable.PutMarks(ctx, p)
}

// downConnections cannot be asked.
type downConnections struct{ shopifysync.Connections }

func (downConnections) Connection(context.Context, shopifysync.ConnectionID) (shopifysync.Connection, error) {
	return shopifysync.Connection{}, errors.New("down")
}

func (downConnections) ConnectionsByShop(context.Context, shopifysync.Shop) ([]shopifysync.Connection, error) {
	return nil, errors.New("down")
}

// What is not certain is not refused: Shopify sends it again.
func TestWebhookLookupFails(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		s, err := shopifysync.New(w.signs().store, downConnections{})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/webhooks/shopify/tenant-1", "/webhooks/shopify"} {
			got := answer(mount(s), signed(path, "customers/update", `{"id":1}`))
			if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "1" {
				t.Errorf("%s: %+v", path, got)
			}
		}
	})
}

func TestWebhookBodies(t *testing.T) {
	const most = 1 << 20
	body := func(n int) string {
		const start, end = `{"id":1,"note":"`, `"}`
		return start + strings.Repeat("x", n-len(start)-len(end)) + end
	}
	chunked := func(r *http.Request) *http.Request { r.ContentLength = -1; return r }
	claims := func(n int64, r *http.Request) *http.Request { r.ContentLength = n; return r }
	const path = "/webhooks/shopify/tenant-1"
	tests := []struct {
		name string
		r    *http.Request
		want int
	}{
		{"64 KiB", signed(path, "a/b", body(64<<10)), 200},
		{"64 KiB and one", signed(path, "a/b", body(64<<10+1)), 200},
		{"as long as may be", signed(path, "a/b", body(most)), 200},
		{"too long", signed(path, "a/b", body(most+1)), 413},
		{"chunked", chunked(signed(path, "a/b", body(1000))), 200},
		{"chunked, long", chunked(signed(path, "a/b", body(most))), 200},
		{"chunked, too long", chunked(signed(path, "a/b", body(most+1))), 413},
		{"endless", chunked(signed(path, "a/b", body(most*3))), 413},
		{"claims more", claims(90_000, signed(path, "a/b", body(1000))), 200},
		{"claims less", claims(10, signed(path, "a/b", body(1000))), 200},
		{"claims less, is long", claims(10, signed(path, "a/b", body(most))), 200},
		{"claims a lot", claims(1<<62, signed(path, "a/b", body(1000))), 413},
	}
	inWorld(t, 1, func(t *testing.T, w *world) {
		h := mount(w.signs().syncer())
		for _, tt := range tests {
			if got := status(h, tt.r); got != tt.want {
				t.Errorf("%s: status %d, want %d", tt.name, got, tt.want)
			}
		}
		// Mounted behind what else a host puts in front.
		outer := http.NewServeMux()
		outer.Handle("/api/v1/", http.StripPrefix("/api/v1", http.MaxBytesHandler(h, 5000)))
		for n, want := range map[int]int{1000: 200, 5001: 413, 100_000: 413} {
			if got := status(outer, signed("/api/v1"+path, "a/b", body(n))); got != want {
				t.Errorf("limited to 5,000 bytes, %d bytes: status %d, want %d", n, got, want)
			}
			if got := status(outer, chunked(signed("/api/v1"+path, "a/b", body(n)))); got != want {
				t.Errorf("limited to 5,000 bytes, %d bytes in chunks: status %d, want %d", n, got, want)
			}
		}
		broken := signed(path, "a/b", body(1000))
		broken.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrUnexpectedEOF)))
		if got := status(h, broken); got != 400 {
			t.Errorf("broken off: status %d", got)
		}
	})
}

// memoryListener hands out the server's ends of in-memory connections.
type memoryListener struct {
	conns chan net.Conn
	once  sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *memoryListener) Close() error   { l.once.Do(func() { close(l.conns) }); return nil }
func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{} }

// A sender who does not end the body is cut off, and held no slot meanwhile.
func TestWebhookSlowBody(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		h := mount(w.signs().syncer(shopifysync.WithWebhooksAtOnce(1)))
		l := &memoryListener{conns: make(chan net.Conn)}
		srv := &http.Server{Handler: h}
		var wg sync.WaitGroup
		wg.Go(func() { _ = srv.Serve(l) })
		defer wg.Wait()
		defer srv.Close()
		client, server := net.Pipe()
		l.conns <- server
		began := time.Now()
		wg.Go(func() {
			_, _ = io.WriteString(client, "POST /webhooks/shopify/tenant-1 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
		})
		time.Sleep(time.Second)
		if got := status(h, w.delivery("customers/update", w.ids()[0])); got != http.StatusOK {
			t.Errorf("beside a slow body: status %d", got)
		}
		got, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		client.Close()
		if took := time.Since(began); got.StatusCode != http.StatusRequestTimeout || took > 4*time.Second {
			t.Errorf("status %d after %v", got.StatusCode, took)
		}
	})
}

// The deadline of the body is no deadline for the work.
func TestWebhookAfterItsBody(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		w.signs()
		w.shop.Configure(func(c *shopifytest.StoreConfig) { c.Latency = 1800 * time.Millisecond }) // of two requests
		l := &memoryListener{conns: make(chan net.Conn)}
		srv := &http.Server{Handler: mount(w.syncer()), ReadTimeout: time.Minute}
		var wg sync.WaitGroup
		wg.Go(func() { _ = srv.Serve(l) })
		defer wg.Wait()
		defer srv.Close()
		client, server := net.Pipe()
		l.conns <- server
		r := w.delivery("customers/update", w.ids()[0])
		r.URL.Host, r.Host = "receiver", "receiver"
		wg.Go(func() { _ = r.Write(client) })
		began := time.Now()
		got, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		client.Close()
		if took := time.Since(began); got.StatusCode != http.StatusOK || took < 3500*time.Millisecond {
			t.Errorf("status %d after %v: %s", got.StatusCode, took, w.log)
		}
	})
}

// Both versions of HTTP, over a real socket.
func TestWebhookOverHTTP(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP2 %v", http2), func(t *testing.T) {
			w := newWorld(t, 10)
			defer w.server.Close()
			srv := httptest.NewUnstartedServer(mount(w.signs().syncer()))
			srv.EnableHTTP2 = http2
			srv.StartTLS()
			defer srv.Close()
			r := w.delivery("customers/update", w.ids()[0])
			out, err := http.NewRequest(http.MethodPost, srv.URL+r.URL.Path, r.Body)
			if err != nil {
				t.Fatal(err)
			}
			out.Header = r.Header
			got, err := srv.Client().Do(out)
			if err != nil {
				t.Fatal(err)
			}
			got.Body.Close()
			if got.StatusCode != http.StatusOK || (got.ProtoMajor == 2) != http2 {
				t.Errorf("%s over %s: %s", got.Status, got.Proto, w.log)
			}
			if len(w.contacts()) != 1 {
				t.Errorf("%d contacts", len(w.contacts()))
			}
		})
	}
}

// A slow state store holds the slots; who finds none within two seconds is to
// come again, and everybody is answered in time.
func TestWebhookOverload(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		state := &slowState{durable: durable{w.store}, pause: 3 * time.Second}
		h := mount(w.signs().syncer(shopifysync.WithStateStore(state), shopifysync.WithWebhooksAtOnce(8)))
		id := w.ids()[0]
		var mu sync.Mutex
		got, turnedAway := map[int]int{}, 0
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				began := time.Now()
				a := answer(h, w.delivery("customers/update", id))
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("%d after %v", a.Status, took)
				}
				if (a.Header.Get("Retry-After") == "1") != (a.Status == http.StatusServiceUnavailable) {
					t.Errorf("%+v", a)
				}
				mu.Lock()
				defer mu.Unlock()
				got[a.Status]++
				if a.Status == http.StatusServiceUnavailable && time.Since(began) == 2*time.Second {
					turnedAway++
				}
			})
		}
		wg.Wait()
		if got[200] == 0 || turnedAway < 80 || got[200]+got[503] != 100 {
			t.Errorf("answers %v", got)
		}
		state.pause = 0
		if a := status(h, w.delivery("customers/update", id)); a != http.StatusOK {
			t.Errorf("afterwards: status %d", a)
		}
	})
}

// The webhooks of one store that does not answer take no slots from others'.
func TestWebhookSlotsOfOneStore(t *testing.T) {
	inFleet(t, func(t *testing.T, fl *fleet) {
		bad, good := fl.add("bad", 3, nil), fl.add("good", 3, nil)
		bad.Inject(shopifytest.Fault{Times: shopifytest.Always, Hang: true})
		h := mount(fl.syncer())
		deliver := func(shop *shopifytest.Store, id string) *http.Request {
			r, err := shop.Delivery("customers/update", shop.Newest(1)[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Path = "/webhooks/shopify/" + id
			return r
		}
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if got := answer(h, deliver(bad, "bad")); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
					t.Errorf("the bad store's webhook: %+v", got)
				}
			})
		}
		for range 6 {
			time.Sleep(500 * time.Millisecond)
			if got := status(h, deliver(good, "good")); got != http.StatusOK {
				t.Errorf("the good store's webhook: status %d", got)
			}
		}
		wg.Wait()
		bad.ClearFaults()
		if got := status(h, deliver(bad, "bad")); got != http.StatusOK {
			t.Errorf("afterwards: status %d", got)
		}
	})
}

// A burst of 5,000 webhooks of 50 connections within a second.
func TestWebhookBurst(t *testing.T) {
	inWorld(t, 100, func(t *testing.T, w *world) {
		state := &slowState{durable: durable{w.store}, pause: 20 * time.Millisecond}
		h := mount(w.signs().syncer(shopifysync.WithStateStore(state)))
		ids := w.ids()
		var wg sync.WaitGroup
		for i := range 5000 {
			time.Sleep(200 * time.Microsecond)
			wg.Go(func() {
				began := time.Now()
				if a := status(h, w.delivery("customers/update", ids[i%len(ids)])); a != http.StatusOK {
					t.Errorf("status %d", a)
				}
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("answered after %v", took)
				}
			})
		}
		wg.Wait()
		if n := state.calls; n > 400 {
			t.Errorf("%d calls of the store for 5,000 webhooks", n)
		}
	})
}

// slowState is a state store that takes its time to put marks.
type slowState struct {
	durable
	pause time.Duration
	calls int
}

func (s *slowState) PutMarks(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
	s.calls++ // by one delivery at a time
	t := time.NewTimer(s.pause)
	defer t.Stop()
	select {
	case <-t.C:
		return s.durable.PutMarks(ctx, p)
	case <-ctx.Done():
		return shopifysync.PutMarksResult{}, ctx.Err()
	}
}

// Whatever stands in unsigned headers, logs and hooks show a short printable
// text.
func TestWebhookLogsLittle(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		var topic string
		s := w.signs().syncer(shopifysync.WithHooks(shopifysync.Hooks{WebhookEnd: func(_ context.Context, info shopifysync.WebhookEndInfo) {
			topic = info.Topic
		}}))
		r := signed("/webhooks/shopify/tenant-1", "x\n\x1b[31m\xff"+strings.Repeat("y", 5000), `{"email":"john@example.com"}`)
		if got := status(mount(s), r); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		for _, r := range []*http.Request{
			signed("/webhooks/shopify/tenant-1", "customers/update", `{"id":"john@example.com"}`),
			signed("/webhooks/shopify/tenant-1", "customers/redact", `{"shop_id":1,"shop_domain":"a.myshopify.com","customer":{"email":"john@example.com"},"orders_to_redact":[]}`),
			signed("/webhooks/shopify/john@example.com", "customers/update", `{"id":1}`),
			w.delivery("customers/update", w.ids()[0]),
		} {
			status(mount(s), r)
		}
		if len(topic) > 100 {
			t.Errorf("the hook got %q", topic)
		}
		c, _ := w.shop.Customer(w.ids()[0])
		for _, leak := range []string{"john", "\x1b", strings.Repeat("y", 100), clientSecret, "canary", c.Email, c.LastName} {
			if leak != "" && strings.Contains(w.log.String(), leak) {
				t.Errorf("the log shows %q: %s", leak, w.log)
			}
		}
	})
}
