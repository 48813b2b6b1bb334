package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/omnichat/shopifysync"
)

var shots = flag.String("shots", "", "`directory` for screenshots of every page; default: one that is deleted")

// A browser is a tab of a headless Chromium that a person uses in one language.
type browser struct {
	*testConsole
	T       *texts
	root    context.Context // the browser's
	ctx     context.Context // the tab's that is looked at
	close   func()          // that tab
	dir     string
	dialogs *atomic.Int32
}

// patience is how long a page may take to show what it should.
const patience = 20 * time.Second

func openBrowser(t *testing.T, lang *texts, demo demoConfig) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no Chromium: install the package chromium")
		}
		t.Skip("there is no Chromium: install the package chromium to run the browser tests")
	}
	b := &browser{testConsole: startConsole(t, demo), T: lang, dialogs: new(atomic.Int32)}
	b.dir = *shots
	if b.dir == "" {
		b.dir = t.TempDir()
	} else if err := os.MkdirAll(b.dir, 0o750); err != nil {
		t.Fatal(err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("accept-lang", lang.Lang),
		chromedp.Flag("force-prefers-reduced-motion", true),
	)
	alloc, stopBrowser := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stopBrowser)
	quiet := log.New(io.Discard, "", 0).Printf // events newer than the protocol's package
	var cancel context.CancelFunc
	b.root, cancel = chromedp.NewContext(alloc, chromedp.WithErrorf(quiet), chromedp.WithLogf(quiet))
	t.Cleanup(cancel)
	if err := chromedp.Do(b.root); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	b.tab()
	return b
}

// tab opens another tab, and looks at that from now on.
func (b *browser) tab() {
	b.t.Helper()
	b.ctx, b.close = chromedp.NewContext(b.root)
	b.t.Cleanup(b.close)
	if err := chromedp.Do(b.ctx, chromedp.Navigate("about:blank")); err != nil {
		b.t.Fatalf("open a tab: %v", err)
	}
	ctx, dialogs := b.ctx, chromedp.Events(b.ctx, cdppage.JavascriptDialogOpening)
	go func() {
		for _, err := range dialogs { // ends with the tab
			if err != nil {
				return
			}
			b.dialogs.Add(1)
			_, _ = chromedp.Call(ctx, cdppage.HandleJavaScriptDialog, cdppage.HandleJavaScriptDialogParams{Accept: true})
		}
	}()
}

// run runs actions with a limit.
func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// value runs an action that returns something.
func value[T any](b *browser, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatalf("look at the page: %v", err)
	}
	return v
}

func (b *browser) must(what string, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", what, err, b.text())
	}
}

// open goes to a path of the console.
func (b *browser) open(path string) {
	b.t.Helper()
	b.must("open "+path, b.run(chromedp.Navigate(b.base+path)))
}

func (b *browser) path() string {
	return strings.TrimPrefix(value(b, chromedp.Location()), b.base)
}

// text is what a person can read on the page.
func (b *browser) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`)) // between two pages there is none
	return text
}

// until waits until the page's text is as wanted.
func (b *browser) until(what string, ok func(text string) bool) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		text := b.text()
		if ok(text) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: not within %v. The page %s:\n%s", what, patience, b.path(), text)
		}
		pause(b.ctx, 50*time.Millisecond)
	}
}

// see waits until the page says all of it.
func (b *browser) see(wanted ...string) {
	b.t.Helper()
	for _, want := range wanted {
		b.until(fmt.Sprintf("see %q", want), func(text string) bool { return strings.Contains(text, want) })
	}
}

// lacks fails if the page says any of it now.
func (b *browser) lacks(unwanted ...string) {
	b.t.Helper()
	text := b.text()
	for _, not := range unwanted {
		if strings.Contains(text, not) {
			b.t.Errorf("the page %s says %q:\n%s", b.path(), not, text)
		}
	}
}

// click clicks the button or link of that name, which may be swapped for a new
// one at any moment.
func (b *browser) click(name string) {
	b.t.Helper()
	quoted := "'" + name + "'"
	if strings.Contains(name, "'") {
		quoted = `"` + name + `"`
	}
	b.follow(func() {
		b.clickOn(fmt.Sprintf(`//main//button[normalize-space()=%[1]s] | //main//a[normalize-space()=%[1]s] | //nav//a[normalize-space()=%[1]s] | //header//button[normalize-space()=%[1]s]`, quoted))
	})
}

// follow does what leads to another page, and waits until that is there.
func (b *browser) follow(act func()) {
	b.t.Helper()
	b.must("mark the page", b.run(chromedp.Evaluate[chromedp.Void](`window.before = true`)))
	act()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(b.ctx, 3*time.Second)
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`!window.before && document.readyState === "complete"`))
		cancel()
		if err == nil && there {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("no other page came within %v (%v). The page %s:\n%s", patience, err, b.path(), b.text())
		}
		pause(b.ctx, 20*time.Millisecond)
	}
}

func (b *browser) clickOn(xpath string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(b.ctx, 3*time.Second)
		err := chromedp.Do(ctx, chromedp.Click(xpath, chromedp.NodeVisible))
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("click %s: %v\n%s", xpath, err, b.text())
		}
	}
}

// fill types into the field of that name or id, in place of what is there.
func (b *browser) fill(name, text string) {
	b.t.Helper()
	field := chromedp.CSS(fmt.Sprintf(`[name=%q]:not([type=hidden]), #%s`, name, name))
	selectAll := chromedp.Evaluate[chromedp.Void](`document.activeElement.select()`)
	if text == "" {
		text = kb.Backspace
	}
	b.must("fill "+name, b.run(chromedp.WaitVisible(field), chromedp.Focus(field), selectAll, chromedp.KeyEvent(text)))
}

// choose selects an option by its value.
func (b *browser) choose(name, option string) {
	b.t.Helper()
	b.must("choose "+name, b.run(chromedp.SetValue(chromedp.CSS(fmt.Sprintf(`select[name=%q]`, name)), option)))
}

// tick ticks a box, or the one of a group that has the value.
func (b *browser) tick(name string, which ...string) {
	b.t.Helper()
	xpath := fmt.Sprintf(`//input[@name=%q]`, name)
	if len(which) > 0 {
		xpath = fmt.Sprintf(`//input[@name=%q and @value=%q]`, name, which[0])
	}
	b.clickOn(xpath)
}

// audit looks for what a person would stumble over: text that is too pale,
// fields without a label, content wider than the screen.
const audit = `(() => {
  const wrong = [];
  const width = document.documentElement.clientWidth; // innerWidth grows with what is too wide
  if (document.documentElement.scrollWidth > width + 1) {
    const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1 && !e.closest(".tabs")).map((e) => e.tagName + "." + e.className);
    wrong.push("wider than the screen: " + document.documentElement.scrollWidth + " " + wide.slice(0, 5));
  }
  if (!document.documentElement.lang) wrong.push("no language");
  if (document.querySelectorAll("h1").length !== 1) wrong.push("headings of the first level: " + document.querySelectorAll("h1").length);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
  if (twice.length) wrong.push("ids used twice: " + twice);
  for (const f of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!f.labels.length && !f.ariaLabel) wrong.push("no label: " + f.name);
  for (const e of document.querySelectorAll("[aria-describedby]"))
    for (const id of e.getAttribute("aria-describedby").split(" "))
      if (!document.getElementById(id)) wrong.push("described by nothing: " + id);
  for (const e of document.querySelectorAll("button, a"))
    if (!e.textContent.trim() && !e.ariaLabel) wrong.push("a button or link without a name");
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a > 0.99) return c.rgb; } return [255, 255, 255]; };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const pale = new Set();
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest("script, noscript, option, .hidden, .skip")) continue;
    const a = light(parse(getComputedStyle(e).color).rgb), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) pale.add(e.tagName + "." + e.className + " " + ratio.toFixed(2));
  }
  if (pale.size) wrong.push("too pale: " + [...pale].slice(0, 5));
  return wrong;
})()`

// shot takes the page on a desktop and on a phone of 360 pixels, and looks at
// it as far as a program can.
func (b *browser) shot(name string) {
	b.t.Helper()
	for _, screen := range []struct {
		name          string
		width, height int64
		mobile        bool
	}{{"desktop", 1280, 900, false}, {"phone", 360, 740, true}} {
		b.screen(screen.width, screen.height, screen.mobile)
		for _, w := range value(b, chromedp.Evaluate[[]string](audit)) {
			b.t.Errorf("%s (%s, %s): %s", name, b.T.Lang, screen.name, w)
		}
		file := filepath.Join(b.dir, fmt.Sprintf("%s.%s.%s.png", name, b.T.Lang, screen.name))
		if err := os.WriteFile(file, value(b, chromedp.FullScreenshot(100)), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	b.screen(1280, 900, false)
}

func (b *browser) screen(width, height int64, mobile bool) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: mobile,
	})
	b.must("screen", err)
}

// hide tells the page that it is behind others, or to be seen again: a headless
// browser shows all its tabs.
func (b *browser) hide(hidden bool) {
	b.t.Helper()
	b.must("hide the page", b.run(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`Object.defineProperty(document, "hidden", {value: %t, configurable: true}); document.dispatchEvent(new Event("visibilitychange"))`, hidden))))
}

// mouse presses or releases the left button in the middle of what is selected.
func (b *browser) mouse(kind input.DispatchMouseEventType, selector string) {
	b.t.Helper()
	at := value(b, chromedp.Evaluate[[]float64](fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`, selector)))
	_, err := chromedp.Call(b.ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{
		Type: kind, X: at[0], Y: at[1], Button: input.MouseButtonLeft, ClickCount: 1,
	})
	b.must("mouse", err)
}

// in runs a story in both languages.
func in(t *testing.T, demo demoConfig, story func(t *testing.T, b *browser)) {
	for _, lang := range languages {
		t.Run(lang.Lang, func(t *testing.T) {
			b := openBrowser(t, lang, demo)
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(b.logged.errors())
				}
			})
			story(t, b)
			if n := b.dialogs.Load(); n > 0 {
				t.Errorf("a page ran a script of somebody else's: %d dialogs", n)
			}
		})
	}
}

// result waits for the result page and returns its number of new contacts.
func (b *browser) result() string {
	b.t.Helper()
	b.see(b.T.RunState["completed"], b.T.New)
	var created string
	b.until("the number of new contacts", func(string) bool {
		created = b.textOf("#result-new")
		return created != ""
	})
	return created
}

// textOf is what stands in the first element that is selected, if there is one.
// It is read at once, for a live page may swap the element at any moment.
func (b *browser) textOf(selector string) string {
	b.t.Helper()
	return value(b, chromedp.Evaluate[string](fmt.Sprintf(`(document.querySelector(%q)?.textContent ?? "").trim()`, selector)))
}

func (b *browser) wantNew(want string) {
	b.t.Helper()
	if got := b.result(); got != want {
		b.t.Errorf("%s new, want %s", got, want)
	}
}

// connectByForm fills the form by hand, as S1 has it.
func (b *browser) connectByForm(key string) {
	b.t.Helper()
	cfg := b.demo.store(key).Config()
	b.open("/connect")
	b.fill("shop", "https://"+cfg.Domain)
	b.fill("api_key", cfg.ClientID)
	b.fill("api_secret", cfg.ClientSecret)
	b.fill("token", cfg.AccessToken)
}

// S1 to S8: connect with every mistake that a merchant makes first, sync later,
// sync now, sync again.
func TestBrowserConnectAndSync(t *testing.T) {
	in(t, demoConfig{customers: 400}, func(t *testing.T, b *browser) {
		T := b.T
		demo := b.demo.store("demo-shop")
		cfg := demo.Config()
		b.open("/")
		b.see(T.HomeTitle, T.DemoStores)
		b.shot("home")
		b.click(T.ConnectByHand)
		b.see(T.ConnectTitle, T.StoreURLHint)
		b.shot("connect")

		b.fill("shop", "https://www.my-brand.com.tw")
		b.fill("api_key", cfg.ClientID)
		b.fill("api_secret", cfg.ClientSecret)
		b.fill("token", "shpat_wrong")
		b.click(T.ConnectButton)
		b.see(T.Problems["invalid shop"].Text, T.Problems["invalid shop"].Next)
		b.shot("connect-custom-domain")
		b.fill("shop", "no-such-shop.myshopify.com")
		b.click(T.ConnectButton)
		b.see(T.Problems["shop not found"].Next)
		b.fill("shop", "https://admin.shopify.com/store/demo-shop")
		b.click(T.ConnectButton)
		b.see(T.Problems["unauthorized"].Text, T.Problems["unauthorized"].Next)
		b.shot("connect-wrong-token")
		if strings.Contains(b.text(), "shpat_wrong") {
			t.Error("the token is shown again")
		}

		b.setScopes(demo, "read_products")
		b.fill("token", cfg.AccessToken) // the secret need not be pasted again
		b.click(T.ConnectButton)
		b.see(T.Problems["scope missing"].Text, "read_customers")
		b.setScopes(demo, "read_customers", "read_customer_merge")
		b.tick("whatsapp")
		b.choose("account", "wa-hk")
		b.click(T.ConnectButton)
		b.see(T.Done["connected"], T.ReadyTitle, cfg.Name)
		b.shot("connected")

		b.click(T.SyncLater) // S6
		b.see(T.Done["later"])
		b.click(T.NavContacts)
		b.see(T.NoContacts)
		b.shot("contacts-empty")
		b.click(T.NavSync)
		b.see(T.NeverSynced)
		b.click(T.SyncNow)
		b.wantNew("407") // one of the eight by hand bears the tag that leaves it out
		b.see(T.Skip["tagged no-sync"], T.SeeContacts)
		// S5: a landline is listed, a shared phone too, and nobody is merged.
		b.see(T.WhatsAppResults["linked"], T.WhatsAppResults["no phone"], T.WhatsAppUnusable, T.WhatsAppShared)
		b.shot("result")

		b.click(T.SyncAgain) // S8
		b.until("0 new", func(text string) bool { return strings.Contains(text, T.ZeroNew) })
		b.wantNew("0")
		b.shot("result-nothing-new")
		b.click(T.NavOverview)
		b.see(T.LastSync, T.Health["ok"], "2024-04", T.SecretsKept)
		b.lacks(cfg.AccessToken, cfg.ClientSecret)
		b.shot("overview")
		b.click(T.Preview)
		b.see(T.PreviewText)
		b.click(T.NavHistory)
		b.see(T.Runs, T.NoFailures)
		b.shot("history")

		b.open("/connect?demo=basic-shop") // S1: personal data refused
		b.click(T.ConnectButton)
		b.see(T.Problems["protected data"].Text, T.Problems["protected data"].Next)
		b.shot("connect-basic-plan")
		b.open("/connect?demo=new-shop")
		b.click(T.ConnectButton)
		b.see(T.Done["connected"], T.Data[""])

		// The language is chosen once, and stays.
		other := textsOf(T.Other)
		b.click(T.OtherName)
		b.see(other.NavOverview)
		b.open("/")
		b.see(other.HomeTitle)
		b.lacks(T.HomeTitle)
	})
}

func (b *browser) setScopes(st *demoStore, scopes ...string) {
	b.t.Helper()
	st.scopes(scopes...)
}

// S9, S10, S12, S13: what an agent sees, while the shop changes it.
func TestBrowserContacts(t *testing.T) {
	in(t, demoConfig{customers: 300}, func(t *testing.T, b *browser) {
		T := b.T
		id := b.connectDemo("demo-shop", "whatsapp", "yes", "account", "wa-tw", "country", "TW")
		b.sync(id)
		b.open("/stores/demo-shop/contacts")
		b.see("王小明", "VIP", "15,880", T.Nameless, `<script>alert("x")</script>`)
		b.shot("contacts")
		b.click(T.NextPage)
		b.see("51–100")
		b.click(T.FirstPage)
		b.see("1–50")
		b.fill("q", "0912-345-678")
		b.click(T.SearchButton)
		b.see("王小明", "林志豪", "1–2 / 2") // one phone, two people: never merged
		b.fill("q", "")
		b.fill("tag", "VIP")
		b.clickOn(`//summary[.="` + T.MoreFilters + `"]`)
		b.fill("spent", "15000")
		b.choose("email_consent", "SUBSCRIBED")
		b.click(T.SearchButton)
		b.see("王小明")
		b.shot("contacts-filtered")
		b.fill("q", "沒有這個人")
		b.click(T.SearchButton)
		b.see(T.NothingFound)
		b.click(T.ClearFilters)
		b.click("王小明")
		b.see("Shopify - "+T.attr("累積訂單數", "Orders count"), T.attr("已訂閱", "Subscribed"), T.Levels["CONFIRMED_OPT_IN"], T.PhoneOfCustomer, "886912345678")
		b.fill("add", T.attr("老客戶", "regular"))
		b.click(T.Add)
		b.see(T.attr("老客戶", "regular"))
		b.shot("contact")
		b.open("/stores/demo-shop/contacts?q=hostile")
		b.click(`<script>alert("x")</script> "><img src=x onerror=alert(1)>`)
		b.see("<i>tag</i>")
		b.open("/stores/demo-shop/contacts?q=nameless")
		b.click(T.Nameless)
		b.see(T.Nameless)
		if heading := b.textOf("h1"); heading != T.Nameless {
			t.Errorf("a nameless member is called %q", heading)
		}

		// S12: the conversation, with the card beside it.
		ming := b.demo.store("demo-shop").Newest(1)[0]
		b.open("/stores/demo-shop/chat")
		b.see(T.LoggedInHint)
		b.fill("member", "no number")
		b.click(T.OpenConversation)
		b.see(T.Problems["member number"].Text)
		b.fill("member", "999999999")
		b.click(T.OpenConversation)
		b.see(T.Problems["no member"].Text)
		b.shot("chat-no-member")
		b.fill("member", fmt.Sprintf("gid://shopify/Customer/%d", ming.ID))
		b.click(T.OpenConversation)
		b.see(T.MemberCard, "王小明", T.attr("老客戶", "regular"))
		b.fill("say", T.attr("請問我的訂單寄出了嗎？", "Has my order been sent?"))
		b.click(T.SayAsMember)
		b.see(T.attr("請問我的訂單寄出了嗎？", "Has my order been sent?"))
		b.fill("say", T.attr("您好，今天下午會寄出，明天就會收到。", "Hello! It leaves this afternoon and is with you tomorrow."))
		b.click(T.SayAsAgent)
		b.see(T.attr("您好，今天下午會寄出，明天就會收到。", "Hello! It leaves this afternoon and is with you tomorrow."))
		b.click(T.OptOut)
		b.see(T.OptedOut, T.OptOutBack)
		b.shot("chat")
		b.click(T.OptOutBack)
		b.lacks(T.OptOutBack)

		// Real time: the shop changes in another tab, and the open page follows.
		agent := b.ctx
		b.tab()
		b.open(fmt.Sprintf("/shopify/demo-shop?customer=%d", ming.ID))
		b.see(T.ShopifyTitle, T.ActOrder)
		b.fill("tag", "白金卡")
		b.follow(func() { b.must("press Enter", b.run(chromedp.KeyEvent(kb.Enter))) }) // adds the tag, and does nothing else
		b.see(T.Done["shopify"])
		b.fill("amount", "1000")
		b.click(T.ActOrder)
		b.see("16880")
		b.choose("consent", "UNSUBSCRIBED")
		b.click(T.ActSave)
		b.see(T.Done["shopify"])
		b.see("customers/update")
		b.shot("shopify")
		b.ctx = agent
		began := time.Now()
		b.see("白金卡", "16,880", T.attr("已取消", "Unsubscribed"), T.attr("老客戶", "regular"))
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the card followed after %v", took)
		}

		// A member who is not here yet is asked for at Shopify at once.
		b.demo.store("demo-shop").drop(true)
		fresh := b.demo.store("demo-shop").Create(newcomer)
		b.open(fmt.Sprintf("/stores/demo-shop/chat?member=%d", fresh.ID))
		b.see("吳新來")
		b.demo.store("demo-shop").drop(false)
	})
}

// N8: the WhatsApp marketing consent, and who is a WhatsApp contact by it.
func TestBrowserWhatsAppConsent(t *testing.T) {
	in(t, demoConfig{}, func(t *testing.T, b *browser) {
		T := b.T
		b.open("/connect?demo=demo-shop")
		b.tick("whatsapp")
		b.choose("policy", "subscribed")
		b.click(T.ConnectButton)
		b.see(T.ReadyTitle)
		b.follow(func() { b.clickOn(`//button[@id="sync-now"]`) })
		b.see(T.RunState["completed"], T.WhatsAppResults["linked"], T.WhatsAppResults["not subscribed"])
		b.open(fmt.Sprintf("/stores/demo-shop/contacts/%d", b.demo.store("demo-shop").Newest(1)[0].ID))
		b.see(shopifysync.AttrWhatsAppConsent.Label(T.Lang), T.Origins["OTHER"], "886912345678")
		b.shot("contact-whatsapp-consent")
	})
}

// S14 and "webhooks dropped": right after a catch-up or a full run.
func TestBrowserMissedWebhooks(t *testing.T) {
	in(t, demoConfig{customers: 120}, func(t *testing.T, b *browser) {
		T := b.T
		id := b.connectDemo("demo-shop")
		b.sync(id)
		ming := b.demo.store("demo-shop").Newest(1)[0]
		contact := fmt.Sprintf("/stores/demo-shop/contacts/%d", ming.ID)
		b.open(fmt.Sprintf("/shopify/demo-shop?customer=%d", ming.ID))
		b.click(T.ActDrop)
		b.see(T.DroppingNow)
		b.open(fmt.Sprintf("/shopify/demo-shop?customer=%d", ming.ID))
		b.fill("p-first", "大明")
		b.click(T.ActSave)
		b.see(T.Lost)
		b.fill("tag", "tag-without-webhook")
		b.click(T.ActTag)
		b.see(T.Done["shopify"])
		b.shot("shopify-webhooks-lost")
		b.open(contact)
		b.see("王小明")
		b.open("/stores/demo-shop")
		b.click(T.CatchUpNow)
		b.until("the catch-up", func(text string) bool { // Serve may be quicker with the drain
			return strings.Contains(text, T.Done["caught-up"]) || strings.Contains(text, T.Done["catching-up"])
		})
		b.open(contact)
		b.see("王大明")
		b.demo.store("demo-shop").UpdateQuietly(ming.ID, platinum) // a tag moves no time of change
		for range 5 {                                              // two looks within one second of Shopify's clock cannot be told apart
			b.open("/stores/demo-shop/sync")
			b.click(T.SyncAgain)
			b.result()
			if b.open(contact); strings.Contains(b.text(), "quiet-tag") {
				break
			}
		}
		b.see("quiet-tag", "tag-without-webhook")
		b.open("/shopify/demo-shop")
		b.click(T.ActDeliver)
		b.see(T.Done["shopify"])
		b.click(T.ActUnsubscribe)
		b.see(T.SubscriptionsNow + T.Colon + "0")
		b.open("/stores/demo-shop")
		b.click(T.CheckNow)
		b.see(T.Done["checked"])
		b.open("/shopify/demo-shop")
		b.lacks(T.SubscriptionsNow + T.Colon + "0")
	})
}

// Token expired, store frozen, renamed, uninstalled, reinstalled, old
// deliveries replayed: nothing is lost.
func TestBrowserTrouble(t *testing.T) {
	in(t, demoConfig{customers: 120}, func(t *testing.T, b *browser) {
		T := b.T
		id := b.connectDemo("demo-shop")
		b.sync(id)
		shopify := func(button string) {
			t.Helper()
			b.open("/shopify/demo-shop")
			b.click(button)
			b.see(T.Done["shopify"])
		}
		sync := func() {
			t.Helper()
			b.open("/stores/demo-shop")
			b.click(T.SyncNow)
		}
		edit := func(name, value string) {
			t.Helper()
			b.open("/stores/demo-shop/edit")
			b.see(T.EditTitle)
			b.fill(name, value)
			b.click(T.SaveConnection)
			b.see(T.Done["edited"])
		}
		kept := func() {
			t.Helper()
			b.open("/stores/demo-shop/contacts")
			b.see(fmt.Sprintf(T.Total, "127"), "王小明")
		}
		shopify(T.ActExpire)
		sync()
		b.see(T.Problems["unauthorized"].Text)
		b.shot("token-expired")
		b.click(T.EditConnection)
		b.see(T.EditLead)
		b.shot("edit")
		edit("token", b.demo.store("demo-shop").Config().AccessToken)
		kept()

		shopify(T.ActFreeze)
		sync()
		b.see(T.Problems["frozen"].Next)
		b.open("/stores/demo-shop")
		b.see(T.Health["frozen"])
		b.shot("frozen")
		shopify(T.ActOpen)
		sync()
		b.wantNew("0")
		kept()

		shopify(T.ActRename)
		sync()
		b.see(T.Problems["shop moved"].Next)
		edit("shop", b.demo.store("demo-shop").Config().Domain)
		sync()
		b.wantNew("0")

		shopify(T.ActUninstall)
		b.open("/stores/demo-shop")
		b.see(T.Health["uninstalled"], T.Problems["uninstalled"].Next)
		shopify(T.ActReinstall)
		edit("token", b.demo.store("demo-shop").Config().AccessToken)
		shopify(T.ActReplayUninstall)
		shopify(T.ActReplayRedact)
		sync()
		b.wantNew("0")
		kept()
		b.open("/stores/demo-shop")
		b.see(T.Health["ok"])
	})
}

// A million, here some thousands: close, reopen, cancel, resume.
func TestBrowserBigStore(t *testing.T) {
	in(t, demoConfig{customers: 10, many: 12_000}, func(t *testing.T, b *browser) {
		T := b.T
		b.open("/connect?demo=big-shop")
		b.click(T.ConnectButton)
		b.see(T.ReadyTitle)
		b.slowDown("big-shop")
		b.follow(func() { b.clickOn(`//button[@id="sync-now"]`) })
		b.see(T.SyncRunning, T.MayClose, T.CancelSync, "12,000")
		b.until("a rate", func(text string) bool {
			return strings.Contains(text, strings.TrimSpace(strings.Split(T.PerSecond, "%s")[0])) && strings.Contains(text, "%")
		})
		b.shot("progress")
		b.close()
		b.tab() // closed, and found again in another tab
		b.open("/")
		b.see("百萬會員百貨")
		b.open("/stores/big-shop/sync")
		b.see(T.SyncRunning)
		b.click(T.SeeContacts)
		b.see(T.MemberNumber) // usable so far
		b.open("/stores/big-shop/sync")
		b.click(T.CancelSync)
		b.see(T.RunState["cancelled"], T.ResumeSync)
		b.shot("paused")
		b.speedUp("big-shop")
		b.click(T.ResumeSync) // Serve leaves a cancelled run alone
		b.result()
		b.open("/stores/big-shop/contacts")
		b.see(fmt.Sprintf(T.Total, "12,000"))
		<-b.jobs.start(shopifysync.SyncParams{Connection: "big-shop"}).done
		b.see(fmt.Sprintf(T.SyncDone, "0", "0", "0"), T.OpenSync) // by itself
		b.shot("told")
	})
}

// Failed records and their retry, a mass removal, deletions and merges.
func TestBrowserFailuresAndRemovals(t *testing.T) {
	in(t, demoConfig{customers: 300}, func(t *testing.T, b *browser) {
		T := b.T
		id := b.connectDemo("demo-shop")
		b.sync(id)
		st := b.demo.store("demo-shop")
		newest := st.Newest(8)
		ming, nameless, ling := newest[0], newest[1], newest[2]

		st.drop(true)
		b.open(fmt.Sprintf("/shopify/demo-shop?customer=%d", ling.ID))
		b.click(T.ActBreak)
		b.see(T.Done["shopify"])
		b.open("/stores/demo-shop/sync")
		b.click(T.SyncAgain)
		b.see(T.FailedRecords, fmt.Sprint(ling.ID), T.RetryFailed)
		b.shot("result-failed")
		b.click(T.NavHistory)
		b.see(fmt.Sprint(ling.ID), T.Attempts)
		b.shot("history-failed")
		b.open(fmt.Sprintf("/shopify/demo-shop?customer=%d", ling.ID))
		b.fill("p-first", "美玲")
		b.click(T.ActSave)
		b.open("/stores/demo-shop/history")
		b.click(T.RetryFailed)
		b.see(T.RunState["completed"])
		b.open("/stores/demo-shop/history")
		b.see(T.NoFailures)

		st.drop(false)
		gone := fmt.Sprintf("/stores/demo-shop/contacts/%d", nameless.ID)
		b.open(fmt.Sprintf("/shopify/demo-shop?customer=%d", nameless.ID))
		b.click(T.ActDelete)
		b.open(gone)
		b.see(T.Removal["deleted"])
		b.shot("contact-removed")
		b.open(fmt.Sprintf("/shopify/demo-shop?customer=%d", ling.ID))
		b.choose("into", fmt.Sprint(ming.ID))
		b.click(T.ActMerge)
		b.open(fmt.Sprintf("/stores/demo-shop/contacts/%d", ling.ID))
		b.see(T.Removal["merged"], fmt.Sprint(ming.ID))

		st.drop(true)
		n := 0
		for c := range st.All() {
			if n++; n > 100 {
				break
			}
			if err := st.Delete(c.ID); err != nil {
				t.Fatal(err)
			}
		}
		b.open("/stores/demo-shop/sync")
		b.click(T.SyncAgain)
		b.see(T.Problems["mass removal"].Text, fmt.Sprintf(T.MassRemovalLine, "100", "100", "305"), fmt.Sprintf(T.MassRemovalSure, "100"))
		b.shot("mass-removal")
		b.tick("sure")
		b.click(T.MassRemovalButton)
		b.see(T.RunState["completed"], T.RemovedCount, "100")
	})
}

// A page that changes by itself takes neither focus nor clicks away, and tabs
// that are not seen hold no connection.
func TestBrowserLive(t *testing.T) {
	in(t, demoConfig{customers: 30}, func(t *testing.T, b *browser) {
		id := b.connectDemo("demo-shop")
		b.sync(id)
		st := b.demo.store("demo-shop")
		more := func() { // one contact more on the page
			t.Helper()
			st.Create(newcomer)
			b.until("another contact", func(string) bool {
				n, err := b.store.ContactIDs(t.Context(), shopifysync.ContactIDsParams{Connection: id, Limit: 100})
				return err == nil && len(n.IDs) == st.Count()-1 // one bears the tag that leaves it out
			})
		}
		shown := func() bool {
			return value(b, chromedp.Evaluate[string](`document.querySelector("#overview .value a").textContent`)) == fmt.Sprint(st.Count()-1)
		}
		b.open("/stores/demo-shop")
		link := `#overview a[href="/stores/demo-shop/sync"]`
		b.must("focus", b.run(chromedp.Evaluate[chromedp.Void](`document.querySelector('`+link+`').focus()`)))
		more()
		b.until("the page follows", func(string) bool { return shown() })
		if got := value(b, chromedp.Evaluate[string](`document.activeElement.getAttribute("href") || document.activeElement.tagName`)); got != "/stores/demo-shop/sync" {
			t.Errorf("the focus is on %q", got)
		}
		if n := value(b, chromedp.Evaluate[int](`document.querySelectorAll("[role=status]").length`)); n != 1 {
			t.Errorf("%d elements announce what happens", n)
		}

		b.must("count answers", b.run(chromedp.Evaluate[chromedp.Void](`window.answers = 0; const real = fetch;
			window.fetch = async (...all) => { const a = await real(...all); const text = await a.text(); window.answers++; return new Response(text, {status: a.status}); }`)))
		b.mouse(input.DispatchMouseEventTypeMousePressed, link)
		answers := value(b, chromedp.Evaluate[int](`window.answers`))
		more()
		b.until("the page asks", func(string) bool { return value(b, chromedp.Evaluate[int](`window.answers`)) > answers })
		if shown() {
			t.Error("the page changes under a button that is held down")
		}
		b.follow(func() { b.mouse(input.DispatchMouseEventTypeMouseReleased, link) })
		if got := b.path(); got != "/stores/demo-shop/sync" {
			t.Errorf("the click leads to %s", got)
		}

		b.open("/stores/demo-shop")
		first := b.ctx
		for range 7 {
			b.hide(true)
			b.tab()
			b.open("/stores/demo-shop")
		}
		b.ctx = first
		more()
		b.hide(false)
		b.until("the page follows again", func(string) bool { return shown() })
	})
}

// A person is erased by e-mail, and stays erased.
func TestBrowserPrivacy(t *testing.T) {
	in(t, demoConfig{customers: 60}, func(t *testing.T, b *browser) {
		T := b.T
		id := b.connectDemo("demo-shop")
		b.sync(id)
		ming := b.demo.store("demo-shop").Newest(1)[0]
		b.open("/stores/demo-shop/privacy")
		b.see(T.NoRequests)
		b.fill("who", "not an address")
		b.click(T.Export)
		b.see(T.Problems["person email"].Text)
		b.fill("who", ming.Email)
		b.click(T.Export)
		b.see(T.ExportResult, "王小明")
		for range 2 { // as often as one likes
			b.must("look for the next download", b.run(chromedp.Evaluate[chromedp.Void](`window.sent = null; addEventListener("submit", (e) => setTimeout(() => { window.sent = !e.defaultPrevented }), {once: true})`)))
			b.clickOn(`//button[normalize-space()="` + T.DownloadJSON + `"]`)
			b.until("the download", func(string) bool { return value(b, chromedp.Evaluate[any](`window.sent`)) != nil })
			if !value(b, chromedp.Evaluate[bool](`window.sent`)) {
				t.Error("a second download is refused")
			}
		}
		b.shot("export")
		b.click(T.Erase)
		b.see(T.EraseNotSure)
		b.tick("sure")
		b.click(T.Erase)
		b.see(T.Receipt, T.Erased, fmt.Sprint(ming.ID))
		b.lacks("王小明", ming.Email)
		b.shot("receipt")
		b.open(fmt.Sprintf("/shopify/demo-shop?customer=%d", ming.ID))
		b.fill("p-first", "小明明") // the shop goes on sending them
		b.click(T.ActSave)
		b.click(T.ActDataRequest)
		b.see("customers/data_request")
		b.open("/stores/demo-shop/sync")
		b.click(T.SyncAgain)
		b.see(T.ZeroNew)
		b.open("/stores/demo-shop/contacts?q=xiaoming")
		b.see(T.NothingFound)
		b.open(fmt.Sprintf("/stores/demo-shop/contacts/%d", ming.ID))
		b.see(T.Removal["redacted"])
		b.lacks("王小明", ming.Email)
		b.open("/stores/demo-shop/privacy")
		b.see(T.DueBy)
	})
}

// Disconnect, keeping and removing; reconnect: no duplicates.
func TestBrowserDisconnect(t *testing.T) {
	in(t, demoConfig{customers: 60}, func(t *testing.T, b *browser) {
		T := b.T
		id := b.connectDemo("demo-shop")
		b.sync(id)
		b.open("/stores/demo-shop")
		b.click(T.Disconnect)
		b.see(T.DisconnectLead, strings.TrimSpace(fmt.Sprintf(T.Parens, "67")))
		b.shot("disconnect")
		b.tick("sure")
		b.click(T.DisconnectButton)
		b.see(T.Done["disconnected"], T.StateDisconnected, strings.TrimSpace(strings.Split(T.EraseBy, "%s")[0]))
		b.shot("disconnected")
		b.open("/stores/demo-shop/contacts")
		b.see(fmt.Sprintf(T.Total, "67"))
		b.connectByForm("demo-shop")
		b.click(T.ConnectButton)
		b.see(T.Done["connected"])
		b.open("/stores/demo-shop")
		b.click(T.SyncNow)
		b.wantNew("0")
		b.open("/stores/demo-shop/disconnect")
		b.tick("contacts", "remove")
		b.tick("sure")
		b.click(T.DisconnectButton)
		b.see(T.Done["removed"])
		b.connectByForm("demo-shop")
		b.click(T.ConnectButton)
		b.see(T.Done["connected"])
		b.follow(func() { b.clickOn(`//button[@id="sync-now"]`) })
		b.wantNew("67")
		b.open("/stores/demo-shop/contacts")
		b.see(fmt.Sprintf(T.Total, "67"))
	})
}

// Everything can be done without a mouse.
func TestBrowserKeyboard(t *testing.T) {
	in(t, demoConfig{customers: 20}, func(t *testing.T, b *browser) {
		T := b.T
		cfg := b.demo.store("demo-shop").Config()
		b.open("/connect")
		b.see(T.ConnectTitle)
		keys := func(text string) { b.must("type", b.run(chromedp.KeyEvent(text))) }
		focused := func() string {
			return value(b, chromedp.Evaluate[string](`document.activeElement.name || document.activeElement.textContent.trim()`))
		}
		tabTo := func(name string) {
			t.Helper()
			for range 40 {
				if focused() == name {
					if value(b, chromedp.Evaluate[string](`getComputedStyle(document.activeElement).outlineStyle`)) == "none" {
						t.Errorf("the focus on %q cannot be seen", name)
					}
					return
				}
				keys(kb.Tab)
			}
			t.Fatalf("the key Tab does not lead to %q", name)
		}
		keys(kb.Tab)
		if got := focused(); got != T.SkipToContent {
			t.Errorf("the first stop is %q", got)
		}
		keys(kb.Enter)
		tabTo("shop")
		keys(cfg.Domain)
		tabTo("api_key")
		keys(cfg.ClientID)
		tabTo("api_secret")
		keys(cfg.ClientSecret)
		tabTo("token")
		keys(cfg.AccessToken + kb.Enter)
		b.see(T.Done["connected"])
		tabTo(T.SyncNow)
		keys(kb.Enter)
		b.wantNew("27")
	})
}

// All of it works without JavaScript; only nothing moves by itself but the
// progress, which the page asks for every two seconds.
func TestBrowserWithoutScript(t *testing.T) {
	in(t, demoConfig{customers: 3000}, func(t *testing.T, b *browser) {
		T := b.T
		_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		b.must("without scripts", err)
		b.connectByForm("demo-shop")
		b.click(T.ConnectButton)
		b.see(T.Done["connected"])
		b.slowDown("demo-shop")
		b.follow(func() { b.clickOn(`//button[@id="sync-now"]`) })
		b.see(T.SyncRunning, T.CancelSync)
		b.speedUp("demo-shop")
		b.result() // Serve may have fetched the latest changes before
		b.click(T.SeeContacts)
		b.see("王小明", fmt.Sprintf(T.Total, "3,007"))
		b.click("王小明")
		b.fill("add", "VVIP")
		b.click(T.Add)
		b.see("VVIP")
		b.click(T.OpenChat)
		b.see(T.Conversation, "VVIP")
		b.click(T.OtherName)
		b.see(textsOf(T.Other).MemberCard, "VVIP")
	})
}
