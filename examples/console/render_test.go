package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/omnichat/shopifysync"
)

func TestFormats(t *testing.T) {
	p := &page{T: &english, zone: time.UTC}
	hour := func(n int) time.Duration { return time.Duration(n) * time.Hour }
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got := map[string]string{
		"0":        p.Num(0),
		"999":      p.Num(int64(999)),
		"1000":     p.Num(1000),
		"-1234567": p.Num(-1234567),
		"amount":   p.amount("1234567.50"),
		"negative": p.amount("-1234.5"),
		"no money": p.amount("abc"),
		"long":     p.amount("123456789012345678901234567890"),
		"rate":     p.Rate(12345.6),
		"no rate":  p.Rate(0),
		"unknown":  p.Estimate(shopifysync.Progress{}),
		"about":    p.Estimate(shopifysync.Progress{EstimateLow: 900 * time.Millisecond, EstimateHigh: time.Second}),
		"range":    p.Estimate(shopifysync.Progress{EstimateLow: 4 * time.Second, EstimateHigh: 90 * time.Second}),
		"hours":    p.Estimate(shopifysync.Progress{EstimateLow: hour(1), EstimateHigh: hour(2) + 5*time.Minute}),
		"took":     p.Took(shopifysync.Report{StartedAt: at, EndedAt: at.Add(1234 * time.Millisecond)}),
		"runs":     p.Took(shopifysync.Report{StartedAt: at}),
		"time":     string(p.Time(at)),
		"never":    string(p.Time(time.Time{})),
		"sum":      p.Sum(shopifysync.Report{Seen: 1010, Created: 1, Updated: 2, Unchanged: 1000, Stale: 3, Skipped: map[string]int64{"a": 1, "b": 2}, Failed: 1}),
	}
	want := map[string]string{
		"0": "0", "999": "999", "1000": "1,000", "-1234567": "-1,234,567",
		"amount": "1,234,567.50", "negative": "-1,234.5", "no money": "abc", "long": "123456789012345678901234567890",
		"rate": "12,345 a second", "no rate": "-", "unknown": "not known yet", "about": "about 1 s", "range": "4 s to 1 min 30 s",
		"hours": "1 h 0 min to 2 h 5 min", "took": "1.2 s", "runs": "-",
		"time": `<time datetime="2026-01-02T03:04:05Z">2026-01-02 03:04:05</time>`, "never": "-",
		"sum": "1,010 customers = 1 new + 2 updated + 1,003 unchanged + 3 skipped + 1 failed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Nothing new is said of a sync that saw everybody, and stored everybody.
func TestNothingNew(t *testing.T) {
	for name, test := range map[string]struct {
		view           runView
		nothing, empty bool
	}{
		"again":         {view: runView{Report: shopifysync.Report{Seen: 3, Unchanged: 3}}, nothing: true},
		"first":         {view: runView{Report: shopifysync.Report{Seen: 3, Created: 3}}},
		"failed":        {view: runView{Report: shopifysync.Report{Seen: 3, Unchanged: 2, Failed: 1}}},
		"retry":         {view: runView{Report: shopifysync.Report{Seen: 3, Updated: 3}, Retry: true}},
		"no retry":      {view: runView{Retry: true}},
		"empty store":   {empty: true},
		"emptied":       {view: runView{Report: shopifysync.Report{Removed: map[shopifysync.RemovalReason]int64{shopifysync.RemovedDeleted: 2}}}},
		"still running": {view: runView{Running: true}},
	} {
		test.view.State = shopifysync.RunCompleted
		if nothing, empty := test.view.NothingNew(), test.view.EmptyStore(); nothing != test.nothing || empty != test.empty {
			t.Errorf("%s: nothing new %v, empty %v", name, nothing, empty)
		}
	}
}

// An error that matches several sentinels is told by the most telling one, and
// a run's record by its text.
func TestProblems(t *testing.T) {
	missing := &shopifysync.MissingScopesError{Missing: []string{"read_customers"}}
	for _, test := range []struct {
		err  error
		want string
	}{
		{shopifysync.ErrUninstalled, "uninstalled"},
		{&shopifysync.APIError{Op: "Shop", StatusCode: 401, Err: shopifysync.ErrUnauthorized}, "unauthorized"},
		{missing, "scope missing"},
		{errDemo, "unknown"},
	} {
		if got := problemOf(&english, test.err).Key; got != test.want {
			t.Errorf("%v is told as %q, want %q", test.err, got, test.want)
		}
	}
	if got := problemOf(&english, missing).Missing; got != "read_customers" {
		t.Errorf("missing scopes: %q", got)
	}
	for _, k := range known {
		if got := problemOfText(&english, "sync of demo.myshopify.com: "+k.err.Error()).Key; got != k.key {
			t.Errorf("the text of %q is told as %q", k.key, got)
		}
	}
}
