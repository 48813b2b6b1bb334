package main

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/omnichat/shopifysync/shopifytest"
)

// demoWebhookURL is where demonstration stores are asked to send webhooks.
// Nothing leaves the process: see [demo.deliverTo].
const demoWebhookURL = "https://console.invalid" + webhookPath + "/{connection}"

type demoConfig struct {
	customers, many int
	slow            bool // answers take as long as Shopify's do
}

// demo is a fake Shopify in this process, with the stores that a product owner
// wants to try.
type demo struct {
	server *shopifytest.Server
	stores []*demoStore
	to     atomic.Pointer[http.Handler]
}

// A demoStore is one store of the fake Shopify.
type demoStore struct {
	*shopifytest.Store
	Key   string // its name at first; a renamed store keeps it
	first string // the access token that it began with

	mu       sync.Mutex
	dropping bool // webhooks are lost
}

func newDemo(cfg demoConfig, changed func()) *demo {
	d := new(demo)
	d.server = shopifytest.NewServer(shopifytest.WithWebhookHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := d.to.Load(); to != nil {
			(*to).ServeHTTP(w, r)
		}
		changed()
	})))
	latency := time.Duration(0)
	if cfg.slow {
		latency = 120 * time.Millisecond
	}
	main := d.add(shopifytest.StoreConfig{Domain: "demo-shop.myshopify.com", Name: "小日子選物", Plan: "Shopify", ShopID: 61000000001, Latency: latency})
	main.Generate(cfg.customers, 1)
	for _, c := range featured() {
		main.Create(c)
	}
	big := d.add(shopifytest.StoreConfig{Domain: "big-shop.myshopify.com", Name: "百萬會員百貨", Plan: "Shopify Plus", Plus: true, ShopID: 61000000002, Latency: latency, BulkSpeed: 20_000, BucketSize: 20_000, RestoreRate: 1000})
	big.Generate(cfg.many, 2)
	basic := d.add(shopifytest.StoreConfig{Domain: "basic-shop.myshopify.com", Name: "Basic 方案小店", Plan: "Basic", ShopID: 61000000003, Latency: latency, Access: shopifytest.NoPersonalData})
	basic.Generate(40, 3)
	d.add(shopifytest.StoreConfig{Domain: "new-shop.myshopify.com", Name: "剛開張的店", Plan: "Basic", ShopID: 61000000004, Latency: latency})
	return d
}

func (d *demo) add(cfg shopifytest.StoreConfig) *demoStore {
	name, _, _ := strings.Cut(cfg.Domain, ".")
	digits := strings.Repeat(string('0'+byte(len(d.stores)+1)), 8)
	cfg.AccessToken = "shpat_demo" + digits
	cfg.ClientID = "demo-api-key-" + digits
	cfg.ClientSecret = "shpss_demo" + digits
	cfg.NoRedacted = true
	cfg.AppWebhookURL = "https://console.invalid" + webhookPath // privacy topics, app/uninstalled
	st := &demoStore{Store: d.server.AddStore(cfg), Key: name, first: cfg.AccessToken}
	d.stores = append(d.stores, st)
	return st
}

// deliverTo gives the stores' webhooks to h, without a network.
func (d *demo) deliverTo(h http.Handler) { d.to.Store(&h) }

// store returns the store of that key, or nil.
func (d *demo) store(key string) *demoStore {
	for _, st := range d.stores {
		if st.Key == key {
			return st
		}
	}
	return nil
}

// drop loses webhooks from now on, or no longer.
func (st *demoStore) drop(lose bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.ClearFaults()
	if st.dropping = lose; lose {
		st.Inject(shopifytest.Fault{Operation: shopifytest.OpWebhook, Times: shopifytest.Always, Drop: shopifytest.DropRequest})
	}
}

// Dropping reports whether webhooks are lost.
func (st *demoStore) Dropping() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.dropping
}

// featured are the customers whom the product page's questions are about; the
// last one is the newest.
func featured() []shopifytest.Customer {
	day := 24 * time.Hour
	now := time.Now().Truncate(time.Second)
	consent := func(state, level string) *shopifytest.EmailConsent {
		return &shopifytest.EmailConsent{State: state, Level: level, UpdatedAt: now.Add(-40 * day)}
	}
	sms := func(state string) *shopifytest.SMSConsent {
		return &shopifytest.SMSConsent{State: state, Level: "SINGLE_OPT_IN", UpdatedAt: now.Add(-35 * day), CollectedFrom: "SHOPIFY"}
	}
	whatsApp := func(state string) *shopifytest.WhatsAppConsent {
		return &shopifytest.WhatsAppConsent{State: state, Level: "CONFIRMED_OPT_IN", UpdatedAt: now.Add(-30 * day), CollectedFrom: "OTHER"}
	}
	in := func(country, city, street string) *shopifytest.Address {
		return &shopifytest.Address{Address1: street, City: city, CountryCode: country}
	}
	twd := func(amount string) shopifytest.Money { return shopifytest.Money{Amount: amount, Currency: "TWD"} }
	all := []shopifytest.Customer{
		{FirstName: `<script>alert("x")</script>`, LastName: `"><img src=x onerror=alert(1)>`, Email: "hostile@example.com", Note: `'; DROP TABLE contacts; -- <b>bold</b>`, Tags: []string{"<i>tag</i>"}},
		{FirstName: "測試", LastName: "內部", Email: "staff@example.com", Tags: []string{skipTag}},
		{FirstName: "Ka Yan", LastName: "Chan", Email: "kayan.chan@example.com", Phone: "9123 4567", Locale: "zh-HK", DefaultAddress: in("HK", "旺角", "彌敦道688號"), Tags: []string{"香港門市"}, NumberOfOrders: 4, AmountSpent: shopifytest.Money{Amount: "1288.5", Currency: "HKD"}, SMSConsent: sms("SUBSCRIBED")},
		{FirstName: "淑芬", LastName: "黃", Email: "shufen@example.com", Phone: "02-2345-6789", DefaultAddress: in("TW", "台北市", "民生東路三段131號"), Note: "只接市話，請於上班時間聯絡", NumberOfOrders: 1, AmountSpent: twd("680"), EmailConsent: consent("UNSUBSCRIBED", "SINGLE_OPT_IN")},
		{FirstName: "志豪", LastName: "林", Email: "chihhao.lin@example.com", Phone: "+886912345678", DefaultAddress: in("TW", "台中市", "中正路12巷3弄5號"), Note: "與王小明共用一支手機", NumberOfOrders: 2, AmountSpent: twd("1520")},
		{FirstName: "美玲", LastName: "陳", Email: "meiling.chen@example.com", Phone: "0922333444", DefaultAddress: in("TW", "高雄市", "忠孝東路四段100號"), Tags: []string{"生日禮", "電子報"}, NumberOfOrders: 7, AmountSpent: twd("8450"), EmailConsent: consent("PENDING", "CONFIRMED_OPT_IN"), WhatsAppConsent: whatsApp("UNSUBSCRIBED")},
		{Email: "nameless.member@example.com"},
		{FirstName: "小明", LastName: "王", Email: "xiaoming.wang@example.com", Phone: "+886912345678", Locale: "zh-TW", VerifiedEmail: true, State: "ENABLED", DefaultAddress: in("TW", "台北市", "忠孝東路四段100號"), Tags: []string{"VIP", "門市會員"}, Note: "喜歡手沖咖啡；收件請放管理室", NumberOfOrders: 12, AmountSpent: twd("15880"), EmailConsent: consent("SUBSCRIBED", "CONFIRMED_OPT_IN"), SMSConsent: sms("UNSUBSCRIBED"), WhatsAppConsent: whatsApp("SUBSCRIBED")},
	}
	for i := range all {
		all[i].CreatedAt = now.Add(-time.Duration(60-i) * day)
		all[i].UpdatedAt = now.Add(-time.Duration(len(all)-i) * time.Hour)
		all[i].Tags = slices.Clone(all[i].Tags)
	}
	return all
}
