package shopifysync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/omnichat/shopifysync/internal/shopify"
	"github.com/omnichat/shopifysync/internal/throttle"
)

// A Syncer copies customers of any number of connections into one contact
// store. It is safe for concurrent use, keeps no goroutine running between
// calls and needs no Close. One Syncer serves a whole process: it holds each
// connection's rate limit.
type Syncer struct {
	contacts ContactStore
	conns    Connections
	options

	mu      sync.Mutex
	shared  map[ConnectionID]*shared
	noted   map[ConnectionID]struct{}      // see noteMarked
	asked   map[ConnectionID]*joinedLookup // see lookUpTogether
	changed map[ConnectionID]struct{}      // see noteChanged

	serving atomic.Bool   // Serve is at work
	wake    chan struct{} // holds one if connections were noted
	slots   chan struct{} // one for each webhook being dealt with
	large   chan struct{} // one for each long body being read
	nobody  Secret        // signs nothing
}

// shared is what calls for one connection share: Shopify's budget, tokens, and
// the gate that Disconnect shuts.
type shared struct {
	bucket *throttle.Bucket
	costs  shopify.Costs
	tokens tokens
	gate   gate
	// places hold one for each webhook that may wait for Shopify.
	places chan struct{}
	// deliveries are webhooks that wait to be put into one call.
	deliveries together[gathering]
	// bulkEnded is set by a webhook that says so.
	bulkEnded atomic.Bool
	// ahead is how far Shopify's clock is ahead of the host's, up to a second
	// more.
	ahead atomic.Pointer[time.Duration]
	// lookups is how many customers to ask for by id at once.
	lookups lookupSize
	// answering lets one call at a time answer marks; see fetchMarked.
	answering answering
	members   members
	// served is the version that answered last, and was logged then.
	served atomic.Pointer[servedVersion]
	// confirmed is the shop that last proved to be the connection's store.
	confirmed atomic.Pointer[Shop]
}

// A servedVersion is the API version that answered for the one asked for.
type servedVersion struct{ asked, served, deprecated string }

// New returns a Syncer that writes to contacts and looks connections up in
// conns.
func New(contacts ContactStore, conns Connections, opts ...Option) (*Syncer, error) {
	if contacts == nil || conns == nil {
		return nil, errors.New("shopifysync: New needs a contact store and connections: see NewMemoryStore and StaticConnections")
	}
	o := defaultOptions()
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, fmt.Errorf("shopifysync: %w", err)
		}
	}
	if o.state == nil {
		if s, ok := contacts.(StateStore); ok {
			o.state = s
		} else {
			o.state = NewMemoryStore()
		}
	}
	if o.mapping.Phone == nil {
		o.mapping.Phone = NormalizePhone
	}
	if o.mapper == nil {
		o.mapper = NewMapper(o.mapping)
	}
	if o.httpClient == nil {
		o.httpClient = http.DefaultClient
	}
	return &Syncer{
		contacts: contacts, conns: conns, options: o,
		shared:  make(map[ConnectionID]*shared),
		noted:   make(map[ConnectionID]struct{}),
		asked:   make(map[ConnectionID]*joinedLookup),
		changed: make(map[ConnectionID]struct{}),
		wake:    make(chan struct{}, 1),
		slots:   make(chan struct{}, o.webhooksAtOnce),
		large:   make(chan struct{}, largeWebhooks),
		nobody:  NewSecret(rand.Text() + rand.Text()),
	}, nil
}

// connection looks a connection up and checks it.
func (s *Syncer) connection(ctx context.Context, id ConnectionID) (Connection, error) {
	c, err := s.lookUpConnection(ctx, id)
	if err == nil {
		err = c.validate(s.tokens)
	}
	if err != nil {
		return Connection{}, err
	}
	return c, nil
}

// lookUpConnection is connection for one that need not have credentials any more.
func (s *Syncer) lookUpConnection(ctx context.Context, id ConnectionID) (Connection, error) {
	c, err := s.conns.Connection(ctx, id)
	if err != nil {
		return Connection{}, &hostError{doing: "look up the connection", err: err}
	}
	if c.ID != id {
		return Connection{}, fmt.Errorf("%w: the lookup returned another connection than the one asked for", ErrInvalidConnection)
	}
	if err := c.validateName(); err != nil {
		return Connection{}, err
	}
	return c, nil
}

func (s *Syncer) sharedOf(id ConnectionID) *shared {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shared[id]
	if sh == nil {
		sh = &shared{bucket: throttle.New(), answering: newAnswering(), places: make(chan struct{}, max(1, s.webhooksAtOnce/4))}
		s.shared[id] = sh
	}
	return sh
}

// wrapped begins an error's text with the package's name.
func wrapped(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("shopifysync: %w", err)
}

// sleep waits for d, or less if the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
