package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // times are shown by the store's clock, wherever this runs

	"github.com/omnichat/shopifysync"
)

//go:embed templates
var templates embed.FS

var pageNames = []string{
	"home", "connect", "overview", "sync", "history", "contacts", "contact", "chat", "disconnect", "privacy", "demo", "error",
}

type view = template.Template

// parsePages reads every page's template together with the layout.
func parsePages() (map[string]*view, error) {
	layout, err := template.ParseFS(templates, "templates/layout.html")
	if err != nil {
		return nil, err
	}
	pages := make(map[string]*view, len(pageNames))
	for _, name := range pageNames {
		one, err := layout.Clone()
		if err == nil {
			_, err = one.ParseFS(templates, "templates/"+name+".html")
		}
		if err != nil {
			return nil, err
		}
		pages[name] = one
	}
	return pages, nil
}

// A page is what every template gets. Its methods show values in the page's
// language and the store's time zone.
type page struct {
	T       *texts
	Title   string
	Path    string // of this page, to come back to it
	Section string // the tab that it belongs to
	Demo    bool
	DemoKey string // of the demonstration store that the page is about
	Store   *storeHead
	Notice  string
	Told    *told
	Problem *problem
	Run     *runView
	Refresh bool // without JavaScript, load the page anew every two seconds
	Body    any

	zone *time.Location
}

// A storeHead is what is shown of a connection on each of its pages.
type storeHead struct {
	ID    shopifysync.ConnectionID
	Shop  shopifysync.Shop
	Name  string
	State shopifysync.HealthState
	Gone  bool // disconnected
}

// A told is what a sync came to whose page was closed.
type told struct{ Text, Tone string }

func (p *page) told(end shopifysync.SyncEndInfo) *told {
	if end.Err != nil {
		return &told{fmt.Sprintf(p.T.SyncFailed, problemOf(p.T, end.Err).Text), "bad"}
	}
	r := end.Report
	return &told{fmt.Sprintf(p.T.SyncDone, p.Num(r.Created), p.Num(r.Updated), p.Num(r.RemovedTotal())), "good"}
}

// To returns the path of one of the store's pages.
func (s *storeHead) To(rest string) string { return storePath(s.ID, rest) }

// Tone is the colour of the store's state.
func (s *storeHead) Tone() string {
	switch s.State {
	case shopifysync.HealthOK:
		return "good"
	case shopifysync.HealthUnknown:
		return "grey"
	}
	return "bad"
}

// page begins a page. The title is set by the handler.
func (c *console) page(r *http.Request, section string) *page {
	t := language(r)
	p := &page{T: t, Title: t.NotFoundTitle, Path: r.URL.RequestURI(), Section: section, Demo: c.demo != nil, zone: time.Local}
	if r.Method != http.MethodGet {
		p.Path = r.URL.Path
	}
	p.Notice = t.Done[r.FormValue("done")]
	return p
}

// storePage begins a page of a connection, with what the library knows of it.
func (c *console) storePage(r *http.Request, section string) (*page, shopifysync.Connection, *shopifysync.Status, error) {
	conn, err := c.storeOf(r)
	if err != nil {
		return nil, conn, nil, err
	}
	status, err := c.syncer.Status(r.Context(), conn.ID)
	if err != nil {
		return nil, conn, nil, err
	}
	p := c.page(r, section)
	p.Store = headOf(conn, status)
	if zone, err := time.LoadLocation(status.Health.Shop.TimeZone); err == nil && status.Health.Shop.TimeZone != "" {
		p.zone = zone
	}
	if end, ok := c.runs.unseen(conn.ID); ok {
		p.Told = p.told(end)
	}
	if c.demo != nil {
		p.DemoKey = c.demo.keyOf(conn.Shop)
	}
	return p, conn, status, nil
}

func headOf(conn shopifysync.Connection, status *shopifysync.Status) *storeHead {
	h := &storeHead{ID: conn.ID, Shop: conn.Shop, Name: status.Health.Shop.Name, State: status.Health.State, Gone: status.Disconnected != nil}
	if h.Name == "" {
		h.Name = conn.Shop.Name()
	}
	return h
}

// render writes a page, whole or not at all.
func (c *console) render(w http.ResponseWriter, _ *http.Request, status int, name string, p *page) {
	var out bytes.Buffer
	if err := c.pages[name].ExecuteTemplate(&out, "layout", p); err != nil {
		c.log.Error("a template failed", "page", name, "error", err)
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w) // a browser that is gone
}

// show renders a page that is in order.
func (c *console) show(w http.ResponseWriter, r *http.Request, name string, p *page) error {
	c.render(w, r, http.StatusOK, name, p)
	return nil
}

// A tab is a link of the store's navigation.
type tab struct {
	Path, Label string
	Current     bool
}

// Tab makes the tab that leads to one of the store's pages.
func (p *page) Tab(section, rest, label string) tab {
	return tab{Path: p.Store.To(rest), Label: label, Current: p.Section == section}
}

// Num groups digits by thousands.
func (p *page) Num(n any) string {
	text := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// Time shows a moment by the store's clock.
func (p *page) Time(t time.Time) template.HTML {
	if t.IsZero() {
		return "-"
	}
	local := t.In(p.zone)
	// Both parts are made of digits and signs.
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.UTC().Format(time.RFC3339), local.Format("2006-01-02 15:04:05")))
}

// Clock shows the time of day.
func (p *page) Clock(t time.Time) string { return t.In(p.zone).Format("15:04:05") }

// Took is how long a run took.
func (p *page) Took(r shopifysync.Report) string {
	if r.EndedAt.IsZero() {
		return "-"
	}
	return p.duration(r.EndedAt.Sub(r.StartedAt))
}

func (p *page) duration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf(p.T.SecondsFine, d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf(p.T.Seconds, int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf(p.T.Minutes, int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf(p.T.Hours, int(d.Hours()), int(d.Minutes())%60)
}

// Rate is how many customers come in a second.
func (p *page) Rate(perSecond float64) string {
	if perSecond <= 0 {
		return "-"
	}
	return fmt.Sprintf(p.T.PerSecond, p.Num(int64(perSecond)))
}

// Estimate is the time left, as a range.
func (p *page) Estimate(now shopifysync.Progress) string {
	if now.EstimateHigh == 0 {
		return p.T.NotYetKnown
	}
	rough := func(d time.Duration) string {
		if d < 10*time.Second {
			return fmt.Sprintf(p.T.Seconds, max(1, int(d.Round(time.Second).Seconds())))
		}
		return p.duration(d)
	}
	low, high := rough(now.EstimateLow), rough(now.EstimateHigh)
	if low == high {
		return fmt.Sprintf(p.T.About, high)
	}
	return fmt.Sprintf(p.T.Between, low, high)
}

// CountLine says how many contacts there are, or match.
func (p *page) CountLine(filtered bool, n int64) string {
	if filtered {
		return fmt.Sprintf(p.T.Found, p.Num(n))
	}
	return fmt.Sprintf(p.T.Total, p.Num(n))
}

// Sum says how a report's parts add up to what was seen.
func (p *page) Sum(r shopifysync.Report) string {
	return fmt.Sprintf(p.T.SumLine, p.Num(r.Seen), p.Num(r.Created), p.Num(r.Updated), p.Num(r.Unchanged+r.Stale), p.Num(r.SkippedTotal()), p.Num(r.Failed))
}

// MassRemovalLine says how many contacts would go, and MassRemovalSure asks for
// the same number.
func (p *page) MassRemovalLine(m *shopifysync.MassRemovalError) string {
	return fmt.Sprintf(p.T.MassRemovalLine, p.Num(m.Confirmed), p.Num(m.Unseen), p.Num(m.Contacts))
}

func (p *page) MassRemovalSure() string {
	return fmt.Sprintf(p.T.MassRemovalSure, p.Num(p.Run.Report.MassRemoval.Unseen))
}

// Pair joins a label and its value.
func (p *page) Pair(label, value string) string { return label + p.T.Colon + value }

// Paren puts a value behind a label, in parentheses.
func (p *page) Paren(value any) string { return fmt.Sprintf(p.T.Parens, fmt.Sprint(value)) }

// Sentence puts a moment into a sentence.
func (p *page) Sentence(format string, t time.Time) template.HTML {
	return template.HTML(fmt.Sprintf(template.HTMLEscapeString(format), p.Time(t)))
}

// Dash shows an empty text as a dash.
func (p *page) Dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// State is the label of a consent's state.
func (p *page) State(s shopifysync.ConsentState) string { return s.Label(p.T.Lang) }

// States are those that a filter offers.
func (p *page) States() []shopifysync.ConsentState {
	return []shopifysync.ConsentState{
		shopifysync.ConsentSubscribed, shopifysync.ConsentNotSubscribed, shopifysync.ConsentPending,
		shopifysync.ConsentUnsubscribed, shopifysync.ConsentInvalid, shopifysync.ConsentRedacted,
	}
}

// Labels of the attributes that filters and forms name.
func (p *page) OrdersLabel() string       { return shopifysync.AttrOrdersCount.Label(p.T.Lang) }
func (p *page) SpentLabel() string        { return shopifysync.AttrTotalSpent.Label(p.T.Lang) }
func (p *page) EmailConsentLabel() string { return shopifysync.AttrEmailConsent.Label(p.T.Lang) }
func (p *page) SMSConsentLabel() string   { return shopifysync.AttrSMSConsent.Label(p.T.Lang) }

// SubscriptionLabel and SubscriptionTone show the state of a webhook subscription.
func (p *page) SubscriptionLabel(s shopifysync.SubscriptionState) string {
	return labelOr(p.T.Subscription, s)
}

func (p *page) SubscriptionTone(s shopifysync.SubscriptionState) string {
	switch s {
	case shopifysync.SubscriptionSkipped:
		return "grey"
	case shopifysync.SubscriptionFailed:
		return "bad"
	}
	return "good"
}

// An attributeView is an attribute for a person to read.
type attributeView struct {
	Key          shopifysync.AttributeKey
	Label, Value string
	Tone         string // of a consent
	Beaten       bool   // by an opt-out in a conversation
	Consent      *shopifysync.Consent
}

func (p *page) attribute(a shopifysync.Attribute) attributeView {
	v := attributeView{Key: a.Key, Label: a.Key.Label(p.T.Lang)}
	switch a.Kind {
	case shopifysync.KindNumber:
		v.Value = p.amount(a.Number)
	case shopifysync.KindMoney:
		v.Value = p.amount(a.Number) + " " + a.Currency
	case shopifysync.KindText:
		v.Value = a.Text
	case shopifysync.KindConsent:
		v.Value, v.Tone, v.Consent = p.State(a.Consent.State), "grey", &a.Consent
		switch a.Consent.State {
		case shopifysync.ConsentSubscribed:
			v.Tone = "good"
		case shopifysync.ConsentPending:
			v.Tone = "wait"
		case shopifysync.ConsentUnsubscribed, shopifysync.ConsentInvalid:
			v.Tone = "bad"
		}
	case shopifysync.KindNull:
		v.Value = shopifysync.NoConsentLabel(a.Key, p.T.Lang)
	}
	return v
}

// amount groups the digits before a decimal point.
func (p *page) amount(decimal string) string {
	whole, fraction, point := strings.Cut(decimal, ".")
	if _, err := strconv.ParseInt(whole, 10, 64); err != nil {
		return decimal
	}
	if whole = p.Num(whole); point {
		return whole + "." + fraction
	}
	return whole
}

// A cardView is a contact's card: beside a conversation, or in an export.
type cardView struct {
	*page
	Contact                                          shopifysync.Contact
	Attributes                                       []attributeView
	NameMasked, EmailMasked, PhoneMasked, TagsMasked bool
	AgentTags                                        []string
	OptedOut                                         time.Time // zero: not
	Channels                                         string    // by which marketing may be sent
	TagsPath, OptOutPath                             string
}

func (p *page) card(contact shopifysync.Contact) cardView {
	m := contact.Masked
	path := p.Store.To("/contacts/" + contact.CustomerID.String())
	v := cardView{
		page: p, Contact: contact, TagsPath: path + "/tags", OptOutPath: path + "/opt-out",
		NameMasked: m.Has(shopifysync.FieldName), EmailMasked: m.Has(shopifysync.FieldEmail),
		PhoneMasked: m.Has(shopifysync.FieldPhone), TagsMasked: m.Has(shopifysync.FieldTags),
	}
	for _, a := range inOrder(contact.Attributes) {
		v.Attributes = append(v.Attributes, p.attribute(a))
	}
	return v
}

// optOut shows that the person wants no marketing, whatever Shopify has, unless
// at is zero, and by which channels it may be sent.
func (v *cardView) optOut(at time.Time) {
	v.OptedOut = at
	c := v.Contact
	var channels []string
	may := func(channel string, key shopifysync.AttributeKey, address string) {
		if c.MayMarket(key, address, !at.IsZero()) {
			channels = append(channels, channel)
		}
	}
	may("Email", shopifysync.AttrEmailConsent, c.Email)
	may("SMS", shopifysync.AttrSMSConsent, c.Phone)
	if c.WhatsApp != nil {
		may("WhatsApp", shopifysync.AttrWhatsAppConsent, "+"+c.WhatsApp.UserID)
	}
	v.Channels = strings.Join(channels, " · ")
	if at.IsZero() {
		return
	}
	for i := range v.Attributes {
		v.Attributes[i].beat()
	}
}

func (v *attributeView) beat() {
	if v.Consent != nil && v.Consent.State == shopifysync.ConsentSubscribed {
		v.Tone, v.Beaten = "grey", true
	}
}

// attributeOrder is the order of the product page; others follow.
var attributeOrder = []shopifysync.AttributeKey{
	shopifysync.AttrOrdersCount, shopifysync.AttrTotalSpent, shopifysync.AttrNote, shopifysync.AttrEmailConsent, shopifysync.AttrSMSConsent,
	shopifysync.AttrWhatsAppConsent,
}

// inOrder returns the attributes, which stores keep sorted by key, as they are shown.
func inOrder(attributes []shopifysync.Attribute) []shopifysync.Attribute {
	place := func(a shopifysync.Attribute) int {
		if i := slices.Index(attributeOrder, a.Key); i >= 0 {
			return i
		}
		return len(attributeOrder)
	}
	out := slices.Clone(attributes)
	slices.SortStableFunc(out, func(a, b shopifysync.Attribute) int { return place(a) - place(b) })
	return out
}

// Field shows a text, or why there is none.
func (v cardView) Field(text string, masked bool) template.HTML {
	switch {
	case text != "":
		return template.HTML(template.HTMLEscapeString(text))
	case masked:
		return template.HTML(`<span class="muted">` + template.HTMLEscapeString(v.T.NotShown) + `</span>`)
	}
	return template.HTML(`<span class="muted">` + template.HTMLEscapeString(v.T.None) + `</span>`)
}
