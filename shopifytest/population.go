package shopifytest

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"
)

// population is the customers of a store: generated ones, which are made anew
// at each look, under an overlay of those that were created, changed or
// removed. So a million customers cost no memory until they change.
type population struct {
	segments []*segment        // generated; id ranges ascend and do not overlap
	changed  map[int64]*record // records are replaced, never changed
	gone     int               // records whose customer is gone
	created  []int64           // ids of customers that were not generated
	last     int64             // the greatest id that was ever given

	mu        sync.Mutex          // guards what follows
	generated map[sortKey][]entry // generated customers in an order, made when first asked for
	overlay   map[sortKey][]entry // the same for changed ones, until the next change
}

// record is one customer of the overlay.
type record struct {
	customer *Customer // nil when gone
	// history is what was put, oldest first: for readers that are behind.
	history []version
	// pruned tells that there were versions before the history.
	pruned bool
}

type version struct {
	at        time.Time
	customer  *Customer // nil when gone
	unindexed bool      // the search index was not told
}

// asOf returns what a reader sees who knows everything up to t: the search
// index or the database.
func (r *record) asOf(t time.Time, index bool) *Customer {
	if i := r.latest(t, index); i >= 0 {
		return r.history[i].customer
	}
	if r.pruned { // t is longer ago than was kept: the oldest comes nearest
		for _, v := range r.history {
			if !index || !v.unindexed {
				return v.customer
			}
		}
	}
	return nil
}

// latest returns the place of the last version that a reader sees who knows
// everything up to t, or -1.
func (r *record) latest(t time.Time, index bool) int {
	for i := len(r.history) - 1; i >= 0; i-- {
		if v := r.history[i]; !v.at.After(t) && (!index || !v.unindexed) {
			return i
		}
	}
	return -1
}

func newPopulation() *population { return &population{changed: map[int64]*record{}} }

// snapshot returns a copy that later changes do not touch.
func (p *population) snapshot() *population {
	return &population{
		segments: slices.Clone(p.segments),
		changed:  maps.Clone(p.changed),
		gone:     p.gone,
		created:  p.created,
		last:     p.last,
	}
}

func (p *population) count() int {
	n := len(p.created) - p.gone
	for _, s := range p.segments {
		n += s.n
	}
	return n
}

// find returns the customer as the database has it, or nil.
func (p *population) find(id int64) *Customer {
	if r, ok := p.changed[id]; ok {
		return r.customer
	}
	if s, i, ok := p.segment(id); ok {
		return s.customer(i)
	}
	return nil
}

// findAsOf returns the customer as the database had it at t, or nil.
func (p *population) findAsOf(id int64, t time.Time) *Customer {
	if r, ok := p.changed[id]; ok {
		return r.asOf(t, false)
	}
	return p.find(id)
}

func (p *population) segment(id int64) (*segment, int, bool) {
	for _, s := range p.segments {
		if i, ok := s.index(id); ok {
			return s, i, true
		}
	}
	return nil, 0, false
}

// pick returns a customer that n chooses, or nil.
func (p *population) pick(n uint64) *Customer {
	generated := ids(p.segments)
	total := generated.len() + len(p.created)
	for i := range total { // from there on to the first that is not gone
		k := int((n%uint64(total) + uint64(i)) % uint64(total))
		var id int64
		if k < generated.len() {
			id = generated.at(k).id
		} else {
			id = p.created[k-generated.len()]
		}
		if c := p.find(id); c != nil {
			return c
		}
	}
	return nil
}

func (p *population) add(s *segment) {
	p.segments = append(p.segments, s)
	p.last = max(p.last, s.id(s.n-1))
	p.forget()
}

// put stores c, or with nil removes the customer. unindexed keeps the change
// from the search index. Versions that nobody who knows everything up to keep
// can see are forgotten.
func (p *population) put(id int64, c *Customer, now, keep time.Time, unindexed bool) {
	old := p.changed[id]
	next := &record{customer: c}
	switch {
	case old != nil:
		indexed, last := old.latest(keep, true), old.latest(keep, false)
		for i, v := range old.history {
			if i >= last || i == indexed {
				next.history = append(next.history, v)
			}
		}
		next.pruned = old.pruned || len(next.history) < len(old.history)
	default:
		if s, i, ok := p.segment(id); ok {
			next.history = []version{{customer: s.customer(i)}}
		} else {
			p.created = append(p.created, id)
		}
	}
	next.history = append(next.history, version{now, c, unindexed})
	if c == nil && (old == nil || old.customer != nil) {
		p.gone++
	}
	if c != nil && old != nil && old.customer == nil {
		p.gone--
	}
	p.changed[id] = next
	p.last = max(p.last, id)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.overlay = nil
}

// forget drops the orders that were made.
func (p *population) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.generated, p.overlay = nil, nil
}

// sortKey is a CustomerSortKeys.
type sortKey string

const (
	byID        sortKey = "ID"
	byCreatedAt sortKey = "CREATED_AT"
	byUpdatedAt sortKey = "UPDATED_AT"
)

// entry is a place in an order: the value sorted by, then the id.
type entry struct{ value, id int64 }

func (a entry) compare(b entry) int {
	return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.id, b.id))
}

// row is a customer met by scan. Generated customers are made only on demand.
type row struct {
	place            entry
	created, updated int64 // Unix seconds
	customer         *Customer
	segment          *segment
	index            int
}

func (r row) load() *Customer {
	if r.customer != nil {
		return r.customer
	}
	return r.segment.customer(r.index)
}

// scan is an order of the population and where to go in it.
type scan struct {
	key     sortKey
	reverse bool
	after   *entry // exclusive, in the direction of the scan
	before  *entry // exclusive, in the direction of the scan
	filter  filter
	// asOf, when set, reads the search index as it was then, not the database.
	asOf *time.Time
}

// rows yields the customers of a scan in its order.
func (p *population) rows(s scan, yield func(row) bool) {
	base := p.base(s.key)
	overlay := p.overlayOrder(s)
	direction := 1
	if s.reverse {
		direction = -1
	}
	start := s.after
	// An order by a filtered value starts and ends at the filter's bounds.
	bounds := s.filter.bounds(s.key)
	if edge := bounds.start(s.reverse); edge != nil && (start == nil || direction*edge.compare(*start) > 0) {
		start = edge
	}
	i, j := seek(base, start, s.reverse), seek(overlay, start, s.reverse)
	for {
		var place entry
		var fromOverlay bool
		inBase, inOverlay := i >= 0 && i < base.len(), j >= 0 && j < overlay.len()
		switch {
		case inBase && inOverlay:
			b, o := base.at(i), overlay.at(j)
			fromOverlay = direction*o.compare(b) < 0
			if place = b; fromOverlay {
				place = o
			}
		case inBase:
			place = base.at(i)
		case inOverlay:
			place, fromOverlay = overlay.at(j), true
		default:
			return
		}
		if fromOverlay {
			j += direction
		} else {
			i += direction
		}
		if s.before != nil && direction*place.compare(*s.before) >= 0 || bounds.beyond(place.value, s.reverse) {
			return
		}
		r := row{place: place}
		record, changed := p.changed[place.id]
		switch {
		case fromOverlay:
			r.customer = record.view(s.asOf)
			r.created, r.updated = r.customer.CreatedAt.Unix(), r.customer.UpdatedAt.Unix()
		case changed:
			continue // the overlay has it, or it is gone
		default:
			r.segment, r.index, _ = p.segment(place.id)
			r.created, r.updated = r.segment.times(r.index)
		}
		if s.filter.matches(place.id, r.created, r.updated) && !yield(r) {
			return
		}
	}
}

func (r *record) view(asOf *time.Time) *Customer {
	if asOf != nil {
		return r.asOf(*asOf, true)
	}
	return r.customer
}

// places is a sorted list of entries.
type places interface {
	len() int
	at(i int) entry
}

type entries []entry

func (e entries) len() int       { return len(e) }
func (e entries) at(i int) entry { return e[i] }

// ids is the generated customers in the order of their ids, which needs no list.
type ids []*segment

func (s ids) len() int {
	n := 0
	for _, segment := range s {
		n += segment.n
	}
	return n
}

func (s ids) at(i int) entry {
	for _, segment := range s {
		if i < segment.n {
			id := segment.id(i)
			return entry{id, id}
		}
		i -= segment.n
	}
	panic("shopifytest: index out of range")
}

// seek returns the index of the first entry after start in the direction of
// the scan.
func seek(list places, start *entry, reverse bool) int {
	n := list.len()
	if reverse {
		if start == nil {
			return n - 1
		}
		return sort.Search(n, func(i int) bool { return list.at(i).compare(*start) >= 0 }) - 1
	}
	if start == nil {
		return 0
	}
	return sort.Search(n, func(i int) bool { return list.at(i).compare(*start) > 0 })
}

func (p *population) base(key sortKey) places {
	if key == byID {
		return ids(p.segments)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if list, ok := p.generated[key]; ok {
		return entries(list)
	}
	list := make([]entry, 0, ids(p.segments).len())
	for _, s := range p.segments {
		for i := range s.n {
			created, updated := s.times(i)
			value := created
			if key == byUpdatedAt {
				value = updated
			}
			list = append(list, entry{value, s.id(i)})
		}
	}
	slices.SortFunc(list, entry.compare)
	if p.generated == nil {
		p.generated = map[sortKey][]entry{}
	}
	p.generated[key] = list
	return entries(list)
}

func (p *population) overlayOrder(s scan) places {
	p.mu.Lock()
	defer p.mu.Unlock()
	if list, ok := p.overlay[s.key]; ok && s.asOf == nil {
		return entries(list)
	}
	list := make([]entry, 0, len(p.changed))
	for id, r := range p.changed {
		c := r.view(s.asOf)
		if c == nil {
			continue
		}
		e := entry{id, id}
		switch s.key {
		case byCreatedAt:
			e.value = c.CreatedAt.Unix()
		case byUpdatedAt:
			e.value = c.UpdatedAt.Unix()
		}
		list = append(list, e)
	}
	slices.SortFunc(list, entry.compare)
	if s.asOf == nil {
		if p.overlay == nil {
			p.overlay = map[sortKey][]entry{}
		}
		p.overlay[s.key] = list
	}
	return entries(list)
}
