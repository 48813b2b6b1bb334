package shopifytest

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// CostModel is how a store counts the points of a query.
type CostModel int

const (
	// ObservedCost fits recorded answers of Shopify: a connection costs
	// 2 + max(1, floor(2 ln n)) times one node; money, addresses and consents
	// are free; nodes(ids:) does not grow with its ids.
	ObservedCost CostModel = iota
	// DocumentedCost is what Shopify's documentation describes: an object is
	// 1 point, and a connection n times one node.
	DocumentedCost
)

// maxQueryCost is the most that one query may cost on any plan.
const maxQueryCost = 1000

// freeTypes cost nothing as observed.
var freeTypes = map[string]bool{
	"MoneyV2": true, "MailingAddress": true, "PageInfo": true,
	"CustomerEmailMarketingConsentState": true, "CustomerSmsMarketingConsentState": true,
	"CustomerWhatsAppMarketingConsent": true,
}

// cost returns the points of an operation: as requested, or with actual for
// the rows that came.
func (x *execution) cost(root plan, model CostModel, actual bool) int {
	total := 0
	for _, f := range root {
		if f.def == nil {
			continue
		}
		if x.call.op.Operation == ast.Mutation || f.name() == "customersCount" {
			total += 10
			continue
		}
		total += x.fieldCost(f, model, actual)
	}
	return total
}

func (x *execution) fieldCost(f *field, model CostModel, actual bool) int {
	if f.def == nil {
		return 0
	}
	result := x.doc.schema.Types[f.def.Type.Name()]
	if result.IsLeafType() {
		return 0
	}
	if strings.HasSuffix(result.Name, "Connection") {
		return x.connectionCost(f, result.Name, model, actual)
	}
	own := 1
	if model == ObservedCost && freeTypes[result.Name] {
		own = 0
	}
	cost := own + x.childrenCost(f, result, model, actual)
	if ids, ok := f.args["ids"].([]any); ok && model == DocumentedCost {
		cost *= len(ids)
	}
	return cost
}

// childrenCost is the greatest cost of the concrete types behind an interface
// or union.
func (x *execution) childrenCost(f *field, result *ast.Definition, model CostModel, actual bool) int {
	types := []*ast.Definition{result}
	if result.IsAbstractType() {
		types = x.doc.schema.PossibleTypes[result.Name]
	}
	most := 0
	for _, t := range types {
		sum := 0
		for _, child := range x.planOf(f, t.Name) {
			sum += x.fieldCost(child, model, actual)
		}
		most = max(most, sum)
	}
	return most
}

func (x *execution) connectionCost(f *field, typeName string, model CostModel, actual bool) int {
	n := pageSize(f.args)
	if actual {
		n = f.rows
	}
	perNode := 0
	for _, child := range x.planOf(f, typeName) {
		if child.name() != "nodes" && child.name() != "edges" {
			continue
		}
		node := child
		if child.name() == "edges" {
			for _, g := range x.planOf(child, child.def.Type.Name()) {
				if g.name() == "node" {
					node = g
				}
			}
			if node == child {
				continue
			}
		}
		def := x.doc.schema.Types[node.def.Type.Name()]
		perNode += 1 + x.childrenCost(node, def, model, actual)
	}
	if model == DocumentedCost {
		return n * perNode
	}
	return 2 + sizeFactor(n)*perNode
}

// sizeFactor is the fit to recorded costs: f(1)=1 f(10)=4 f(50)=7 f(250)=11.
func sizeFactor(n int) int {
	if n == 0 {
		return 0
	}
	return max(1, int(2*math.Log(float64(n))))
}

func pageSize(args map[string]any) int {
	for _, name := range []string{"first", "last"} {
		if n, ok := args[name].(int64); ok {
			return int(n)
		}
	}
	return 0
}

// bucket is the leaky bucket of one app on one store.
type bucket struct {
	available float64
	at        time.Time
}

// refill brings the bucket up to date.
func (b *bucket) refill(size, rate float64, now time.Time) {
	if b.at.IsZero() {
		b.available = size
	} else if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.available += passed * rate
	}
	b.available = min(b.available, size)
	b.at = now
}

// take removes cost points if they are there, and returns what is left.
func (b *bucket) take(cost, size, rate float64, now time.Time) (left float64, ok bool) {
	b.refill(size, rate, now)
	if b.available < cost {
		return b.available, false
	}
	b.available -= cost
	return b.available, true
}

type costReport struct {
	Requested int            `json:"requestedQueryCost"`
	Actual    *int           `json:"actualQueryCost"` // null when throttled
	Throttle  throttleStatus `json:"throttleStatus"`
}

type throttleStatus struct {
	Maximum     decimal `json:"maximumAvailable"`
	Currently   int     `json:"currentlyAvailable"`
	RestoreRate decimal `json:"restoreRate"`
}

// decimal is written with a fraction even when it is whole, as Shopify does.
type decimal float64

func (d decimal) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(d), 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return []byte(text), nil
}
