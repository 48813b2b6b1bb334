package shopifysync

import "time"

// A Report tells what a run did. Its parts add up: Seen = Created + Updated +
// Unchanged + Stale + all of Skipped + Failed. Removed is counted apart.
type Report struct {
	RunID      string       `json:"run_id"`
	Connection ConnectionID `json:"connection"`
	StartedAt  time.Time    `json:"started_at"`
	EndedAt    time.Time    `json:"ended_at"` // zero while it runs

	// Seen counts customers, each once.
	Seen      int64            `json:"seen"`
	Created   int64            `json:"created"` // the result screen's "new"
	Updated   int64            `json:"updated"`
	Unchanged int64            `json:"unchanged"`
	Stale     int64            `json:"stale"`             // something newer was stored meanwhile, or a redaction stands
	Skipped   map[string]int64 `json:"skipped,omitempty"` // by reason
	Failed    int64            `json:"failed"`
	// Failures are the first [MaxFailures] records that could not be mapped or
	// stored. Each is also a mark in the state store.
	Failures []Failure               `json:"failures,omitempty"`
	Removed  map[RemovalReason]int64 `json:"removed,omitempty"`
	// MassRemoval is what would have been removed, if that was too much.
	MassRemoval *MassRemovalError `json:"mass_removal,omitempty"`
	// Postponed counts, in a drain, marks whose customers Shopify did not show
	// as new as the webhook said yet. They are asked for again.
	Postponed int64 `json:"postponed,omitempty"`

	// Complete is true only if the run proved that it saw every customer and
	// its sweep ended.
	Complete bool `json:"complete"`
	Resumed  bool `json:"resumed,omitempty"` // it went on where an earlier process stopped
	DryRun   bool `json:"dry_run,omitempty"` // nothing was written
	// ServedVersion is the API version that Shopify answered with.
	ServedVersion string `json:"served_version,omitempty"`
	// WhatsApp counts, for a connection with WhatsApp settings, what the
	// customers' phones came to. It stands apart from the sums above.
	WhatsApp map[WhatsAppResult]int64 `json:"whatsapp,omitempty"`
	// WhatsAppUnusable are the first [MaxFailures] customers whose own phone
	// cannot be WhatsApp's, with the [WhatsAppResult] as the reason.
	WhatsAppUnusable []Failure `json:"whatsapp_unusable,omitempty"`
	// WhatsAppShared are, after a complete run, the first [MaxFailures] groups of
	// customers who have one WhatsApp contact between them, each by its first
	// ten customers. They stay contacts of their own. It needs a contact store
	// that is a [WhatsAppSharer].
	WhatsAppShared [][]CustomerID `json:"whatsapp_shared,omitempty"`
	// Source tells how the customers were read: "pages", "bulk" or "pages+bulk".
	Source string `json:"source,omitempty"`
	// Masked holds the fields that Shopify refused to show.
	Masked FieldSet `json:"masked,omitempty"`
}

// MaxFailures is how many failed records a [Report] lists.
const MaxFailures = 100

// A Failure is a record that could not be mapped or stored.
type Failure struct {
	CustomerID CustomerID `json:"customer_id"` // 0 if the record held none
	Reason     string     `json:"reason"`      // nothing personal
}

// SkippedTotal returns the sum of Skipped.
func (r Report) SkippedTotal() int64 { return sum(r.Skipped) }

// RemovedTotal returns the sum of Removed.
func (r Report) RemovedTotal() int64 { return sum(r.Removed) }

func sum[K comparable](m map[K]int64) int64 {
	var n int64
	for _, v := range m {
		n += v
	}
	return n
}

// Progress tells how far a run is.
type Progress struct {
	Phase Phase `json:"phase"`
	Done  int64 `json:"done"`            // customers seen
	Total int64 `json:"total,omitempty"` // customers of the store; 0: not known
	// PerSecond is the recent rate of customers.
	PerSecond float64 `json:"per_second,omitempty"`
	// EstimateLow and EstimateHigh are the range of the time left; both 0 while
	// it cannot be told.
	EstimateLow  time.Duration `json:"estimate_low,omitempty"`
	EstimateHigh time.Duration `json:"estimate_high,omitempty"`
}

// A Phase is a part of a run.
type Phase string

// The phases of a run, in order. Paging goes on while Shopify prepares the
// bulk file.
const (
	PhaseConnecting Phase = "connecting"
	PhasePages      Phase = "pages"
	PhaseBulk       Phase = "bulk"
	PhaseProving    Phase = "proving"
	PhaseSweeping   Phase = "sweeping"
	PhaseDone       Phase = "done"
)
