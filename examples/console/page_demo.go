package main

import (
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/shopifytest"
)

// The demonstration store's own page: Shopify's side, where a merchant works
// and things go wrong.

type demoBody struct {
	Key           string
	Stores        []demoLink
	Config        shopifytest.StoreConfig
	Connected     shopifysync.ConnectionID
	Customers     int
	StateKey      string
	State         string
	Tone          string
	Dropping      bool
	Newest        []shopifytest.Customer
	Picked        *shopifytest.Customer
	PickedID      int64
	Consent       shopifysync.ConsentState
	Subscriptions int
	Attempts      []shopifytest.Attempt // the latest first
}

// links lists the demonstration stores, each with its connection.
func (d *demo) links(conns []shopifysync.Connection) []demoLink {
	var all []demoLink
	for _, st := range d.stores {
		cfg := st.Config()
		link := demoLink{Key: st.Key, Name: cfg.Name, Shop: cfg.Domain}
		for _, conn := range conns {
			if d.keyOf(conn.Shop) == st.Key {
				link.Connected = conn.ID
			}
		}
		all = append(all, link)
	}
	return all
}

// keyOf returns the key of the demonstration store of that domain, also one
// that it had before it was renamed.
func (d *demo) keyOf(shop shopifysync.Shop) string {
	for _, st := range d.stores {
		if cfg := st.Config(); cfg.Domain == string(shop) || st.Key == shop.Name() {
			return st.Key
		}
	}
	return ""
}

func (c *console) demoIndex(w http.ResponseWriter, r *http.Request) error {
	return seeOther(w, r, "/shopify/"+c.demo.stores[0].Key)
}

// shown is how many customers and deliveries the page lists.
const shown = 12

func (c *console) demoPage(w http.ResponseWriter, r *http.Request) error {
	st := c.demo.store(r.PathValue("store"))
	if st == nil {
		return errNotFound
	}
	listed, err := c.store.ListConnections(r.Context(), shopifysync.ListConnectionsParams{Limit: maxStores})
	if err != nil {
		return err
	}
	p := c.page(r, "shopify")
	p.DemoKey = st.Key
	cfg := st.Config()
	if zone, err := time.LoadLocation(cfg.TimeZone); err == nil {
		p.zone = zone
	}
	b := demoBody{
		Key: st.Key, Stores: c.demo.links(listed.Connections), Config: cfg, Customers: st.Count(),
		Dropping: st.Dropping(), Newest: st.Newest(shown), Subscriptions: len(st.Subscriptions()),
	}
	for _, link := range b.Stores {
		if link.Key == st.Key {
			b.Connected = link.Connected
		}
	}
	b.StateKey = map[shopifytest.State]string{
		shopifytest.Open: "open", shopifytest.Frozen: "frozen", shopifytest.Locked: "locked", shopifytest.Uninstalled: "uninstalled",
	}[cfg.State]
	b.State, b.Tone = p.T.ShopifyState[b.StateKey], "bad"
	if b.StateKey == "open" {
		b.Tone = "good"
	}
	if id, err := strconv.ParseInt(r.FormValue("customer"), 10, 64); err == nil {
		picked, ok := st.Customer(id)
		if ok {
			b.Picked, b.PickedID = &picked, id
			if picked.EmailConsent != nil {
				b.Consent = shopifysync.ConsentState(picked.EmailConsent.State)
			}
		} else {
			p.Problem = newProblem(p.T, "no customer", "")
		}
	}
	if wrong := problemNamed(p.T, r.FormValue("wrong")); wrong != nil {
		p.Problem = wrong
	}
	attempts := st.Attempts()
	slices.Reverse(attempts)
	b.Attempts = attempts[:min(shown, len(attempts))]
	p.Title, p.Body = p.T.ShopifyTitle, b
	return c.show(w, r, "demo", p)
}

// errDemo: the form asks for what cannot be done.
var errDemo = errors.New("the demonstration store cannot do that")

func (c *console) demoAction(w http.ResponseWriter, r *http.Request) error {
	st := c.demo.store(r.PathValue("store"))
	if st == nil {
		return errNotFound
	}
	do := r.PostFormValue("do")
	customer, _ := strconv.ParseInt(r.PostFormValue("customer"), 10, 64)
	path := "/shopify/" + st.Key
	var err error
	if act, ok := storeActions[do]; ok {
		err = act(c, st, r)
	} else if act, ok := customerActions[do]; ok {
		if err = act(st, customer, r); err == nil && do != "delete" && do != "merge" {
			path += "?customer=" + strconv.FormatInt(customer, 10) + "&done=shopify#customers"
		}
	} else {
		return errNotFound
	}
	c.signal.tell()
	switch {
	case errors.Is(err, errDemo), errors.Is(err, shopifytest.ErrNoCustomer), errors.Is(err, shopifytest.ErrTopic):
		return seeOther(w, r, "/shopify/"+st.Key+"?wrong=demo")
	case err != nil:
		return err
	case !strings.Contains(path, "?"):
		path += "?done=shopify"
	}
	return seeOther(w, r, path)
}

// storeActions are what may happen to a store.
var storeActions = map[string]func(*console, *demoStore, *http.Request) error{
	"freeze": func(_ *console, st *demoStore, _ *http.Request) error { st.state(shopifytest.Frozen); return nil },
	"lock":   func(_ *console, st *demoStore, _ *http.Request) error { st.state(shopifytest.Locked); return nil },
	"open":   func(_ *console, st *demoStore, _ *http.Request) error { st.state(shopifytest.Open); return nil },
	"expire": func(_ *console, st *demoStore, _ *http.Request) error {
		st.RevokeTokens()
		st.Configure(func(cfg *shopifytest.StoreConfig) { cfg.AccessToken = newToken() })
		return nil
	},
	"rename": func(_ *console, st *demoStore, _ *http.Request) error {
		st.Rename(fmt.Sprintf("%s-%d.myshopify.com", st.Key, time.Now().Unix()%10_000))
		return nil
	},
	"uninstall":   func(_ *console, st *demoStore, _ *http.Request) error { st.Uninstall(); return nil },
	"reinstall":   func(_ *console, st *demoStore, _ *http.Request) error { st.Reinstall(newToken()); return nil },
	"drop":        func(_ *console, st *demoStore, _ *http.Request) error { st.drop(true); return nil },
	"deliver":     func(_ *console, st *demoStore, _ *http.Request) error { st.drop(false); return nil },
	"unsubscribe": func(_ *console, st *demoStore, _ *http.Request) error { st.DropSubscriptions(); return nil },
	// An old delivery comes once more: signed, genuine, and long untrue.
	"replay-uninstall": func(c *console, st *demoStore, _ *http.Request) error { return c.replay(st, "app/uninstalled") },
	"replay-redact":    func(c *console, st *demoStore, _ *http.Request) error { return c.replay(st, "shop/redact") },
	"create": func(_ *console, st *demoStore, r *http.Request) error {
		st.Create(shopifytest.Customer{FirstName: cut(r.PostFormValue("first"), 100), LastName: cut(r.PostFormValue("last"), 100), Email: cut(r.PostFormValue("email"), 200)})
		return nil
	},
}

func newToken() string { return "shpat_demo" + strconv.FormatInt(time.Now().UnixMilli(), 10) }

func (st *demoStore) state(s shopifytest.State) {
	st.Configure(func(cfg *shopifytest.StoreConfig) { cfg.State = s })
}

// replay gives the console a signed delivery that Shopify sent long ago.
func (c *console) replay(st *demoStore, topic string) error {
	delivery, err := st.Delivery(topic)
	if err != nil {
		return err
	}
	delivery.URL.Path = webhookPath
	c.webhooks().ServeHTTP(nowhere{}, delivery)
	return nil
}

// nowhere is where an answer goes that nobody waits for.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

// customerActions are what a merchant, or the law, does with a customer.
var customerActions = map[string]func(*demoStore, int64, *http.Request) error{
	"save": func(st *demoStore, id int64, r *http.Request) error {
		return st.Update(id, func(c *shopifytest.Customer) {
			c.LastName, c.FirstName = r.PostFormValue("last"), r.PostFormValue("first")
			c.Email, c.Phone, c.Note = r.PostFormValue("email"), r.PostFormValue("phone"), r.PostFormValue("note")
			if state := r.PostFormValue("consent"); state != "" && c.Email != "" {
				if c.EmailConsent == nil || c.EmailConsent.State != state {
					c.EmailConsent = &shopifytest.EmailConsent{State: state, Level: "SINGLE_OPT_IN", UpdatedAt: time.Now().Truncate(time.Second)}
				}
			}
		})
	},
	"tag": func(st *demoStore, id int64, r *http.Request) error {
		tag := cut(r.PostFormValue("tag"), 255)
		if tag == "" {
			return errDemo
		}
		return st.AddTags(id, tag)
	},
	"untag": func(st *demoStore, id int64, r *http.Request) error {
		return st.RemoveTags(id, cut(r.PostFormValue("tag"), 255))
	},
	"order": func(st *demoStore, id int64, r *http.Request) error {
		c, ok := st.Customer(id)
		amount := cut(r.PostFormValue("amount"), 12)
		if !ok || amount == "" || strings.Trim(amount, "0123456789.") != "" { // no exponents: they make numbers without end
			return errDemo
		}
		spent, valid := new(big.Rat).SetString(c.AmountSpent.Amount)
		more, typed := new(big.Rat).SetString(amount)
		if !valid || !typed {
			return errDemo
		}
		return st.PlaceOrder(id, strings.TrimSuffix(strings.TrimRight(spent.Add(spent, more).FloatString(2), "0"), "."))
	},
	"merge": func(st *demoStore, id int64, r *http.Request) error {
		into, err := strconv.ParseInt(r.PostFormValue("into"), 10, 64)
		if err != nil || into == id {
			return errDemo
		}
		return st.Merge(into, id)
	},
	"delete": func(st *demoStore, id int64, _ *http.Request) error { return st.Delete(id) },
	"redact": func(st *demoStore, id int64, _ *http.Request) error {
		if err := st.Redact(id); err != nil {
			return err
		}
		return st.Notify("customers/redact", id)
	},
	"data-request": func(st *demoStore, id int64, _ *http.Request) error { return st.Notify("customers/data_request", id) },
	// A name longer than the contact store takes: a record that fails.
	"break": func(st *demoStore, id int64, _ *http.Request) error {
		return st.Update(id, func(c *shopifytest.Customer) { c.FirstName = strings.Repeat("長", 600) })
	},
}
