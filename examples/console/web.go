package main

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
)

// webhookPath is where the library's webhook handler is mounted.
const webhookPath = "/webhooks/shopify"

//go:embed static
var static embed.FS

// webhooks is the library's handler at its two addresses: for subscriptions of
// a connection, and for those of the app's own configuration. It is served
// apart from the pages, which have no login: a proxy that leads to it from
// outside leads to nothing else. Deliveries carry a signature.
func (c *console) webhooks() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+webhookPath+"/{connection}", c.syncer.WebhookHandler())
	mux.Handle("POST "+webhookPath, c.syncer.WebhookHandler())
	return mux
}

// handler is the whole application.
func (c *console) handler() http.Handler {
	mux := http.NewServeMux()
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // embedded: cannot happen
	}
	mux.Handle("GET /static/", http.StripPrefix("/static/", cached(http.FileServerFS(files))))
	page := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				c.fail(w, r, err)
			}
		})
	}
	page("GET /{$}", c.home)
	page("POST /language", c.language)
	page("GET /events", c.events)
	page("GET /connect", c.connectForm)
	page("POST /connect", c.connect)

	page("GET /stores/{id}", c.overview)
	page("POST /stores/{id}/check", c.check)
	page("GET /stores/{id}/edit", c.editForm)
	page("POST /stores/{id}/edit", c.edit)
	page("GET /stores/{id}/disconnect", c.disconnectForm)
	page("POST /stores/{id}/disconnect", c.disconnect)

	page("GET /stores/{id}/sync", c.syncPage)
	page("POST /stores/{id}/sync", c.startSync)
	page("POST /stores/{id}/cancel", c.cancelSync)
	page("POST /stores/{id}/catch-up", c.catchUp)
	page("GET /stores/{id}/history", c.history)
	page("GET /stores/{id}/runs/{run}", c.runPage)

	page("GET /stores/{id}/contacts", c.contacts)
	page("GET /stores/{id}/contacts/{customer}", c.contact)
	page("POST /stores/{id}/contacts/{customer}/tags", c.agentTags)
	page("POST /stores/{id}/contacts/{customer}/opt-out", c.optOut)
	page("GET /stores/{id}/chat", c.chat)
	page("POST /stores/{id}/chat", c.say)
	page("GET /stores/{id}/privacy", c.privacyForm)
	page("POST /stores/{id}/privacy", c.privacy)

	if c.demo != nil {
		page("GET /shopify", c.demoIndex)
		page("GET /shopify/{store}", c.demoPage)
		page("POST /shopify/{store}", c.demoAction)
	}
	page("/", func(http.ResponseWriter, *http.Request) error { return errNotFound })

	return headers(ownHost(http.NewCrossOriginProtection().Handler(limited(mux))))
}

// headers sets what tells the browser to do nothing that these pages need not.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // pages show people
		next.ServeHTTP(w, r)
	})
}

// cached lets a browser keep a file for a while.
func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		next.ServeHTTP(w, r)
	})
}

// ownHost refuses requests that name another host than this machine: a foreign
// page may make its own name resolve to loopback (DNS rebinding).
func ownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local(r.Host) {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, "this console answers on loopback only", http.StatusMisdirectedRequest)
	})
}

func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// limited bounds what a form may send.
func limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				http.Error(w, "the form cannot be read", http.StatusBadRequest)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// errNotFound: there is no such page, store or contact.
var errNotFound = errors.New("not found")

// fail answers with the page for an error that no form can show.
func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case r.Context().Err() != nil:
		return // nobody listens
	case errors.Is(err, errNotFound):
		p := c.page(r, "")
		p.Body = p.T.NotFound
		c.render(w, r, http.StatusNotFound, "error", p)
	default:
		c.log.Error("page failed", "path", r.Pattern, "error", err)
		p := c.page(r, "")
		p.Problem = problemOf(p.T, err)
		c.render(w, r, http.StatusInternalServerError, "error", p)
	}
}

// language remembers the language that was chosen and goes back to the page.
func (c *console) language(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, &http.Cookie{
		Name: languageCookie, Value: textsOf(r.PostFormValue("to")).Lang, Path: "/", MaxAge: 365 * 24 * 3600,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	back := r.PostFormValue("back")
	// Only a path of this host: //elsewhere and /\elsewhere are other hosts to a browser.
	if u, err := url.Parse(back); err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(back, "/") ||
		strings.HasPrefix(back, "//") || strings.Contains(back, `\`) {
		back = "/"
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

// eventsEvery bounds how often a page is told of changes.
const eventsEvery = 300 * time.Millisecond

// events tells a page, by server-sent events, that something it may show has
// changed; the page then asks for its live parts again. A page that missed an
// event loses nothing by it.
func (c *console) events(w http.ResponseWriter, r *http.Request) error {
	stream := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	_ = stream.SetReadDeadline(time.Time{}) // it would end the request
	write := func(text string) bool {
		_ = stream.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a test's recorder has none
		_, err := w.Write([]byte(text))
		return err == nil && stream.Flush() == nil
	}
	next := c.signal.wait()
	if !write("retry: 2000\n\n") {
		return nil
	}
	alive := time.NewTicker(2 * time.Second)
	defer alive.Stop()
	for {
		text := ": still here\n\n"
		select {
		case <-next:
			text = "data: changed\n\n"
			if !pause(r.Context(), eventsEvery) {
				return nil
			}
			next = c.signal.wait()
		case <-alive.C:
			if c.runs.any() { // one that Serve began tells its progress to the store alone
				text = "data: changed\n\n"
			}
		case <-c.streams.Done():
			return nil
		case <-r.Context().Done():
			return nil
		}
		if !write(text) {
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// storeOf returns the connection that the path names.
func (c *console) storeOf(r *http.Request) (shopifysync.Connection, error) {
	conn, err := c.store.Connection(r.Context(), shopifysync.ConnectionID(r.PathValue("id")))
	if errors.Is(err, shopifysync.ErrNotConnected) {
		return conn, errNotFound
	}
	return conn, err
}

// customerOf returns the customer that the path names.
func customerOf(r *http.Request) (shopifysync.CustomerID, error) {
	id, err := shopifysync.ParseCustomerID(r.PathValue("customer"))
	if err != nil {
		return 0, errNotFound
	}
	return id, nil
}

func storePath(id shopifysync.ConnectionID, rest string) string {
	return "/stores/" + url.PathEscape(string(id)) + rest
}

func seeOther(w http.ResponseWriter, r *http.Request, path string) error {
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}
