package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
)

// output shows what happens: as text, or as one JSON object of the runs, and
// then one of each contact that changes.
type output struct {
	json           bool
	stdout, stderr io.Writer
	runs           []jsonRun
	mu             sync.Mutex // of change
}

func (o *output) textf(format string, args ...any) {
	if !o.json {
		fmt.Fprintf(o.stdout, format, args...)
	}
}

// sync runs a full sync with a progress bar and prints its report.
func (o *output) sync(ctx context.Context, s *shopifysync.Syncer, title string) error {
	o.textf("%s\n", title)
	bar := newBar(o.stderr)
	started := time.Now()
	report, err := s.Sync(ctx, shopifysync.SyncParams{
		Connection: connectionID,
		OnProgress: bar.show,
		Wait:       45 * time.Second, // for the lease of a process that was killed
	})
	bar.clear()
	if report != nil {
		o.runs = append(o.runs, jsonRun{
			Seen: report.Seen, Created: report.Created, Updated: report.Updated, Unchanged: report.Unchanged,
			Stale: report.Stale, Skipped: report.SkippedTotal(), Failed: report.Failed,
			Removed: report.RemovedTotal(), Complete: report.Complete, Resumed: report.Resumed,
			Masked: report.Masked.String(),
		})
	}
	if err != nil {
		return err
	}
	o.textf("  %d customers in %.1f s (%s, API %s): %d new, %d updated, %d unchanged, %d stale, %d skipped, %d failed; %d removed\n",
		report.Seen, time.Since(started).Seconds(), report.Source, report.ServedVersion,
		report.Created, report.Updated, report.Unchanged, report.Stale, report.SkippedTotal(), report.Failed, report.RemovedTotal())
	for _, f := range report.Failures {
		o.textf("  failed: customer %d: %s\n", f.CustomerID, f.Reason)
	}
	if report.Masked != 0 {
		o.textf("  Shopify did not show the app: %s. Ask for access to customer data, or use a Dev Dashboard app.\n", report.Masked)
	}
	if !report.Complete {
		o.textf("  The run is not complete.\n")
	}
	return nil
}

// contacts prints the first n contacts that have a name, with their attributes.
func (o *output) contacts(ctx context.Context, store shopifysync.ContactStore, n int) error {
	if o.json {
		return nil
	}
	page, err := store.ContactIDs(ctx, shopifysync.ContactIDsParams{Connection: connectionID, Limit: 100})
	if err != nil || len(page.IDs) == 0 {
		return err
	}
	got, err := store.Contacts(ctx, shopifysync.ContactsParams{Connection: connectionID, IDs: page.IDs})
	if err != nil {
		return err
	}
	for _, c := range got.Contacts {
		if n == 0 {
			break
		}
		if c.Name != "" && len(c.Tags) > 0 {
			o.contact(c)
			n--
		}
	}
	return nil
}

// changed prints what the second sync made of the contacts that were touched.
func (o *output) changed(ctx context.Context, store shopifysync.ContactStore, ids []shopifysync.CustomerID) error {
	if o.json {
		return nil
	}
	got, err := store.Contacts(ctx, shopifysync.ContactsParams{Connection: connectionID, IDs: ids})
	if err != nil {
		return err
	}
	for _, c := range got.Contacts {
		o.contact(c)
	}
	return nil
}

func (o *output) contact(c shopifysync.Contact) {
	if c.Removed != "" {
		o.textf("\n  #%d: removed (%s)\n", c.CustomerID, c.Removed)
		return
	}
	o.textf("\n  #%d %s\n", c.CustomerID, c.Name)
	line := func(label, value string) {
		if value != "" {
			o.textf("    %s: %s\n", label, value)
		}
	}
	line("E-mail", c.Email)
	line("Phone", c.Phone)
	line("Tags", strings.Join(c.Tags, ", "))
	for _, a := range c.Attributes {
		line(a.Key.Label("zh-Hant"), value(a))
	}
}

// value is an attribute's value for a person to read.
func value(a shopifysync.Attribute) string {
	switch a.Kind {
	case shopifysync.KindNumber:
		return a.Number
	case shopifysync.KindMoney:
		return a.Number + " " + a.Currency
	case shopifysync.KindConsent:
		return a.Consent.State.Label("zh-Hant")
	}
	text := []rune(strings.Join(strings.Fields(a.Text), " "))
	if len(text) > 60 {
		return string(text[:60]) + "…"
	}
	return string(text)
}

// A bar is a live progress bar on a terminal, and nothing elsewhere.
type bar struct {
	w     io.Writer
	width int
}

func newBar(w io.Writer) *bar {
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return &bar{w: w}
		}
	}
	return &bar{w: io.Discard}
}

func (b *bar) show(p shopifysync.Progress) {
	var line strings.Builder
	if p.Total > 0 {
		const cells = 30
		full := int(p.Done * cells / p.Total)
		fmt.Fprintf(&line, "  [%s%s] %3d%%", strings.Repeat("#", full), strings.Repeat(".", cells-full), p.Done*100/p.Total)
	}
	fmt.Fprintf(&line, "  %s  %d", p.Phase, p.Done)
	if p.PerSecond > 0 {
		fmt.Fprintf(&line, "  %.0f/s", p.PerSecond)
	}
	if p.EstimateHigh > 0 {
		fmt.Fprintf(&line, "  %v to %v left", p.EstimateLow, p.EstimateHigh)
	}
	pad := max(b.width-line.Len(), 0)
	b.width = line.Len()
	fmt.Fprintf(b.w, "\r%s%s", line.String(), strings.Repeat(" ", pad))
}

func (b *bar) clear() { fmt.Fprintf(b.w, "\r%s\r", strings.Repeat(" ", b.width)) }
