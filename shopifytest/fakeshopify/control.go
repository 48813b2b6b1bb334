package main

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/omnichat/shopifysync/shopifytest"
)

// control is what other processes do with the store.
type control struct {
	fake  *shopifytest.Server
	store *shopifytest.Store

	mu     sync.Mutex
	random *rand.Rand
	rate   float64 // random edits per second
	done   int     // edits so far, of any kind
}

func newControl(fake *shopifytest.Server, store *shopifytest.Store, seed uint64) *control {
	return &control{fake: fake, store: store, random: rand.New(rand.NewPCG(seed, seed))}
}

// routes serves the store, and the control API beside it.
func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", c.fake.Handler())
	mux.HandleFunc("GET /_fake/stats", c.stats)
	mux.HandleFunc("GET /_fake/customers", c.customers)
	mux.HandleFunc("GET /_fake/customer", c.customer)
	for name, act := range map[string]func(*form) (any, error){
		"create":             c.create,
		"update":             c.update,
		"tag":                c.tag,
		"order":              c.order,
		"delete":             c.remove,
		"merge":              c.merge,
		"redact":             c.redact,
		"notify":             c.notify,
		"changes":            c.changes,
		"webhooks":           c.webhooks,
		"drop-subscriptions": func(*form) (any, error) { c.store.DropSubscriptions(); return nil, nil },
		"state":              c.state,
		"configure":          c.configure,
	} {
		mux.HandleFunc("POST /_fake/"+name, func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			f := &form{values: r.Form}
			answer, err := act(f)
			if err = cmp.Or(f.err, err); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			if answer == nil {
				answer = struct{}{}
			}
			reply(w, answer)
		})
	}
	return mux
}

func reply(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the client has gone: nobody to tell
}

// form reads parameters and keeps the first mistake.
type form struct {
	values map[string][]string
	err    error
}

func (f *form) has(name string) bool { return len(f.values[name]) > 0 }

func (f *form) text(name string) string {
	if f.has(name) {
		return f.values[name][0]
	}
	return ""
}

func (f *form) wrong(name, want string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s must be %s", name, want)
	}
}

// number is a whole number of at least low.
func (f *form) number(name string, low, missing int) int {
	if !f.has(name) {
		return missing
	}
	n, err := strconv.Atoi(f.text(name))
	if err != nil || n < low {
		f.wrong(name, "a whole number of at least "+strconv.Itoa(low))
		return missing
	}
	return n
}

func (f *form) duration(name string) time.Duration {
	if !f.has(name) {
		return 0
	}
	d, err := time.ParseDuration(f.text(name))
	if err != nil || d < 0 {
		f.wrong(name, "a time such as 250ms")
	}
	return d
}

// ids are the customers' ids of a parameter that may come several times.
func (f *form) ids(name string) []int64 {
	var ids []int64
	for _, text := range f.values[name] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id <= 0 {
			f.wrong(name, "a customer's number")
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}

// id is the one id of a parameter that must be there.
func (f *form) id(name string) int64 {
	ids := f.ids(name)
	if len(ids) != 1 {
		f.wrong(name, "one customer's number")
		return 0
	}
	return ids[0]
}

func (c *control) edited() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
	return c.done
}

func (c *control) stats(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	edits := c.done
	c.mu.Unlock()
	webhooks := c.store.WebhookCounts()
	reply(w, map[string]any{
		"customers":     c.store.Count(),
		"subscriptions": len(c.store.Subscriptions()),
		"edits":         edits,
		"requests":      c.fake.Counts(),
		"webhooks": map[string]int{
			"attempts": webhooks.Attempts, "taken": webhooks.Taken, "lost": webhooks.Lost, "pending": webhooks.Pending,
		},
	})
}

func (c *control) customers(w http.ResponseWriter, r *http.Request) {
	f := &form{values: r.URL.Query()}
	after, limit := int64(f.number("after", 0, 0)), f.number("limit", 1, c.store.Count())
	if f.err != nil {
		http.Error(w, f.err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	lines := json.NewEncoder(w)
	for customer := range c.store.All() {
		if customer.ID <= after {
			continue
		}
		if limit--; limit < 0 || lines.Encode(customer) != nil {
			return
		}
	}
}

func (c *control) customer(w http.ResponseWriter, r *http.Request) {
	f := &form{values: r.URL.Query()}
	id := f.id("id")
	if f.err != nil {
		http.Error(w, f.err.Error(), http.StatusBadRequest)
		return
	}
	customer, ok := c.store.Customer(id)
	if !ok {
		http.Error(w, "there is no such customer", http.StatusNotFound)
		return
	}
	reply(w, customer)
}

// set writes the fields of a form into a customer and reports how many.
func (f *form) set(customer *shopifytest.Customer) int {
	n := 0
	for name, set := range map[string]func(string){
		"first_name": func(s string) { customer.FirstName = s },
		"last_name":  func(s string) { customer.LastName = s },
		"email":      func(s string) { customer.Email = s },
		"phone":      func(s string) { customer.Phone = s },
		"note":       func(s string) { customer.Note = s },
		"state":      func(s string) { customer.State = s },
		"email_consent": func(s string) {
			customer.EmailConsent = &shopifytest.EmailConsent{State: s, Level: "SINGLE_OPT_IN", UpdatedAt: time.Now()}
		},
		"sms_consent": func(s string) {
			customer.SMSConsent = &shopifytest.SMSConsent{State: s, Level: "SINGLE_OPT_IN", UpdatedAt: time.Now()}
		},
		"whatsapp_consent": func(s string) {
			customer.WhatsAppConsent = &shopifytest.WhatsAppConsent{State: s, Level: "SINGLE_OPT_IN", UpdatedAt: time.Now()}
		},
	} {
		if f.has(name) {
			set(f.text(name))
			n++
		}
	}
	return n
}

func (c *control) create(f *form) (any, error) {
	count := f.number("count", 1, 1)
	if f.err != nil {
		return nil, f.err
	}
	ids := []int64{}
	for range count {
		var customer shopifytest.Customer
		f.set(&customer)
		ids = append(ids, c.store.Create(customer).ID)
		c.edited()
	}
	return map[string]any{"ids": ids}, nil
}

func (c *control) update(f *form) (any, error) {
	ids, newest, random := f.ids("id"), f.number("count", 1, 0), f.number("random", 1, 0)
	if f.err != nil {
		return nil, f.err
	}
	for _, customer := range c.store.Newest(newest) {
		ids = append(ids, customer.ID)
	}
	for range random {
		if customer, ok := c.pick(); ok {
			ids = append(ids, customer.ID)
		}
	}
	for _, id := range ids {
		n := c.edited()
		err := c.store.Update(id, func(customer *shopifytest.Customer) {
			if f.set(customer) == 0 {
				customer.Note = "edit " + strconv.Itoa(n)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return map[string]any{"ids": append([]int64{}, ids...)}, nil
}

func (c *control) tag(f *form) (any, error) {
	id := f.id("id")
	if f.err != nil {
		return nil, f.err
	}
	c.edited()
	return nil, errors.Join(c.store.AddTags(id, f.values["add"]...), c.store.RemoveTags(id, f.values["remove"]...))
}

func (c *control) order(f *form) (any, error) {
	id := f.id("id")
	if _, err := strconv.ParseFloat(f.text("spent"), 64); err != nil {
		f.wrong("spent", "an amount such as 12.5")
	}
	if f.err != nil {
		return nil, f.err
	}
	c.edited()
	return nil, c.store.PlaceOrder(id, f.text("spent"))
}

func (c *control) remove(f *form) (any, error) {
	id := f.id("id")
	if f.err != nil {
		return nil, f.err
	}
	c.edited()
	return nil, c.store.Delete(id)
}

func (c *control) merge(f *form) (any, error) {
	kept, gone := f.id("kept"), f.id("gone")
	switch {
	case f.err != nil:
		return nil, f.err
	case f.has("status"):
		c.store.NotifyMerge(kept, gone, f.text("status"))
		return nil, nil
	}
	c.edited()
	return nil, c.store.Merge(kept, gone)
}

func (c *control) redact(f *form) (any, error) {
	id := f.id("id")
	if f.err != nil {
		return nil, f.err
	}
	c.edited()
	if err := c.store.Redact(id); err != nil {
		return nil, err
	}
	return nil, c.store.Notify("customers/redact", id)
}

func (c *control) notify(f *form) (any, error) {
	ids := f.ids("id")
	if f.err != nil {
		return nil, f.err
	}
	return nil, c.store.Notify(f.text("topic"), ids...)
}

func (c *control) changes(f *form) (any, error) {
	rate, err := strconv.ParseFloat(f.text("rate"), 64)
	if err != nil || rate < 0 {
		f.wrong("rate", "a number of edits per second, 0 for none")
		return nil, f.err
	}
	c.setRate(rate)
	return nil, nil
}

// webhooks replaces all faults: no other way leads to any here.
func (c *control) webhooks(f *form) (any, error) {
	lost, copies, shuffle := f.number("lost", 0, 0), f.number("copies", 0, 0), f.duration("shuffle")
	if lost > 100 {
		f.wrong("lost", "a percentage of at most 100")
	}
	if f.err != nil {
		return nil, f.err
	}
	c.store.ClearFaults()
	if lost > 0 {
		c.store.Inject(shopifytest.Fault{
			Operation: shopifytest.OpWebhook, Times: shopifytest.Always, Percent: lost, Drop: shopifytest.DropRequest,
		})
	}
	if copies > 0 || shuffle > 0 {
		c.store.Inject(shopifytest.Fault{
			Operation: shopifytest.OpWebhook, Times: shopifytest.Always, Copies: copies, Shuffle: shuffle,
		})
	}
	return nil, nil
}

// state changes the store's state. An app that was uninstalled stays so, and its
// token dead, until it is installed again, which makes a new token.
func (c *control) state(f *form) (any, error) {
	states := map[string]shopifytest.State{"open": shopifytest.Open, "frozen": shopifytest.Frozen, "locked": shopifytest.Locked}
	name := f.text("state")
	switch to, ok := states[name]; {
	case name == "uninstalled":
		c.store.Uninstall()
	case name == "reinstalled":
		token := "shpat_" + crand.Text()
		c.store.Reinstall(token)
		return map[string]any{"token": token}, nil
	case !ok:
		f.wrong("state", "open, frozen, locked, uninstalled or reinstalled")
	case c.store.Config().State == shopifytest.Uninstalled:
		return nil, errors.New("the app is uninstalled: first make the state reinstalled")
	default:
		c.store.Configure(func(cfg *shopifytest.StoreConfig) { cfg.State = to })
	}
	return nil, nil
}

func (c *control) configure(f *form) (any, error) {
	cfg := c.store.Config() // a trial, so that a mistake changes nothing
	for name, set := range map[string]func(string) error{
		"scopes":   func(s string) error { cfg.Scopes = strings.Split(s, ","); return nil },
		"versions": func(s string) error { return setVersions(&cfg, s) },
		"access":   func(s string) error { return setAccess(&cfg, s) },
		"secret":   func(s string) error { cfg.ClientSecret = s; return nil },
	} {
		if f.has(name) {
			if err := set(f.text(name)); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for name, d := range map[string]*time.Duration{"latency": &cfg.Latency, "index-lag": &cfg.IndexLag, "read-lag": &cfg.ReadLag} {
		if f.has(name) {
			*d = f.duration(name)
		}
	}
	if f.err == nil {
		c.store.Configure(func(present *shopifytest.StoreConfig) { *present = cfg })
	}
	return nil, nil
}

func (c *control) setRate(rate float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate = rate
}

func (c *control) pick() (shopifytest.Customer, bool) {
	c.mu.Lock()
	n := c.random.Uint64()
	c.mu.Unlock()
	return c.store.Pick(n)
}

// edits edits customers at the rate that is set, until the context ends.
func (c *control) edits(ctx context.Context) {
	const step = 10 * time.Millisecond
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	last, due := time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			c.mu.Lock()
			rate := c.rate
			c.mu.Unlock()
			// What a slow moment left undone is not made up for beyond a second.
			due = min(due+rate*now.Sub(last).Seconds(), max(rate, 1))
			last = now
			for ; due >= 1; due-- {
				c.editOne()
			}
		}
	}
}

// editOne makes one of the edits that merchants and their customers make.
func (c *control) editOne() {
	customer, ok := c.pick()
	if !ok {
		return
	}
	n := c.edited()
	c.mu.Lock()
	kind := c.random.IntN(10)
	c.mu.Unlock()
	var err error
	switch kind {
	case 0:
		err = c.store.AddTags(customer.ID, "edit "+strconv.Itoa(n%100))
	case 1:
		err = c.store.PlaceOrder(customer.ID, strconv.Itoa(n)+".5")
	case 2:
		err = c.store.Update(customer.ID, func(customer *shopifytest.Customer) {
			customer.EmailConsent = &shopifytest.EmailConsent{State: "SUBSCRIBED", Level: "SINGLE_OPT_IN", UpdatedAt: time.Now()}
		})
	default:
		err = c.store.Update(customer.ID, func(customer *shopifytest.Customer) { customer.Note = "edit " + strconv.Itoa(n) })
	}
	if err != nil && !errors.Is(err, shopifytest.ErrNoCustomer) { // somebody deleted it meanwhile
		panic(err)
	}
}
