package shopifysync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// StaticConnections keeps the connections given, and those saved later, in
// memory: one line for a host with one shop.
//
//	conns := shopifysync.StaticConnections(shopifysync.Connection{ID: "main", Shop: shop, Credentials: creds})
//
// Of two with the same ID the later one counts.
func StaticConnections(conns ...Connection) ConnectionStore {
	m := new(connectionMap)
	for _, c := range conns {
		m.save(c)
	}
	return m
}

// connectionMap is a [ConnectionStore] in memory. The zero value is empty.
type connectionMap struct {
	mu   sync.RWMutex
	byID map[ConnectionID]Connection
}

// Connection implements [Connections].
func (m *connectionMap) Connection(ctx context.Context, id ConnectionID) (Connection, error) {
	if err := ctx.Err(); err != nil {
		return Connection{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, ok := m.byID[id]
	if !ok {
		return Connection{}, fmt.Errorf("connection %q: %w", id, ErrNotConnected)
	}
	return cloneConnection(c), nil
}

// ConnectionsByShop implements [Connections]; they come by ascending ID.
func (m *connectionMap) ConnectionsByShop(ctx context.Context, shop Shop) ([]Connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []Connection
	for _, c := range m.byID {
		if c.Shop == shop {
			found = append(found, cloneConnection(c))
		}
	}
	slices.SortFunc(found, func(a, b Connection) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return found, nil
}

// SaveConnection implements [ConnectionStore].
func (m *connectionMap) SaveConnection(ctx context.Context, p SaveConnectionParams) (SaveConnectionResult, error) {
	if err := checkCall(ctx, p.Connection.ID); err != nil {
		return SaveConnectionResult{}, err
	}
	return SaveConnectionResult{Created: m.save(p.Connection)}, nil
}

func (m *connectionMap) save(c Connection) (created bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byID == nil {
		m.byID = make(map[ConnectionID]Connection)
	}
	_, known := m.byID[c.ID]
	m.byID[c.ID] = cloneConnection(c)
	return !known
}

// DeleteConnection implements [ConnectionStore].
func (m *connectionMap) DeleteConnection(ctx context.Context, p DeleteConnectionParams) (DeleteConnectionResult, error) {
	if err := ctx.Err(); err != nil {
		return DeleteConnectionResult{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.byID[p.Connection]
	delete(m.byID, p.Connection)
	return DeleteConnectionResult{Deleted: known}, nil
}

// ListConnections implements [ConnectionStore].
func (m *connectionMap) ListConnections(ctx context.Context, p ListConnectionsParams) (ListConnectionsResult, error) {
	if err := ctx.Err(); err != nil {
		return ListConnectionsResult{}, err
	}
	if err := checkLimit(p.Limit); err != nil {
		return ListConnectionsResult{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var listed []Connection
	for _, id := range slices.Sorted(maps.Keys(m.byID)) {
		if id > p.After && len(listed) < p.Limit {
			listed = append(listed, cloneConnection(m.byID[id]))
		}
	}
	return ListConnectionsResult{Connections: listed}, nil
}

// cloneConnection returns a copy that shares no memory with c but the texts of
// its secrets, which nobody can change.
func cloneConnection(c Connection) Connection {
	c.Labels = maps.Clone(c.Labels)
	if c.WhatsApp != nil {
		settings := *c.WhatsApp
		c.WhatsApp = &settings
	}
	return c
}
