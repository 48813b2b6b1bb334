package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/omnichat/shopifysync"
)

const selectConnections = "SELECT connection_id, shop, api_version, client_id, access_token, client_secret, previous_client_secret, whatsapp_account, whatsapp_policy, whatsapp_country, labels FROM {connections} "

// SaveConnection implements [shopifysync.ConnectionStore]. Without a key it
// fails with [ErrNoEncryptionKeys].
func (s *Store) SaveConnection(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
	c := p.Connection
	if err := checkConnection(ctx, c.ID); err != nil {
		return shopifysync.SaveConnectionResult{}, err
	}
	row, err := s.connectionRow(c)
	if err != nil {
		return shopifysync.SaveConnectionResult{}, err
	}
	var created bool
	err = s.retry(ctx, "save a connection", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			deleted, err := s.deleteConnection(ctx, q, c.ID)
			if err != nil {
				return err
			}
			created = !deleted
			_, err = q.ExecContext(ctx,
				s.text("INSERT INTO {connections} (connection_id, shop, api_version, client_id, access_token, client_secret, previous_client_secret, whatsapp_account, whatsapp_policy, whatsapp_country, labels) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
				row...)
			return err
		})
	})
	return shopifysync.SaveConnectionResult{Created: created && err == nil}, err
}

func (s *Store) connectionRow(c shopifysync.Connection) ([]any, error) {
	creds := c.Credentials
	sealed, err := s.sealAll(c.ID, c.Shop, creds.AccessToken, creds.ClientSecret, creds.PreviousClientSecret)
	if err != nil {
		return nil, err
	}
	var whatsApp shopifysync.WhatsAppSettings
	if c.WhatsApp != nil {
		if c.WhatsApp.AccountID == "" {
			return nil, fmt.Errorf("sqlstore: %w: WhatsApp settings need an account id", shopifysync.ErrInvalidConnection)
		}
		whatsApp = *c.WhatsApp
	}
	labels, err := json.Marshal(c.Labels)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: %w: its labels cannot be written as JSON", shopifysync.ErrInvalidConnection)
	}
	for _, t := range []string{string(c.Shop), c.APIVersion, creds.ClientID, whatsApp.AccountID, string(whatsApp.Policy), whatsApp.Country} {
		if why := refuseToken(t); why != "" {
			return nil, fmt.Errorf("sqlstore: %w: one of its texts %s", shopifysync.ErrInvalidConnection, why)
		}
	}
	return []any{
		string(c.ID), string(c.Shop), c.APIVersion, creds.ClientID, sealed[0], sealed[1], sealed[2],
		whatsApp.AccountID, string(whatsApp.Policy), whatsApp.Country, string(labels),
	}, nil
}

// DeleteConnection implements [shopifysync.ConnectionStore].
func (s *Store) DeleteConnection(ctx context.Context, p shopifysync.DeleteConnectionParams) (shopifysync.DeleteConnectionResult, error) {
	if err := checkConnection(ctx, p.Connection); err != nil {
		return shopifysync.DeleteConnectionResult{}, err
	}
	var deleted bool
	err := s.retry(ctx, "delete a connection", func() error {
		return s.inTransaction(ctx, func(q querier) (err error) {
			deleted, err = s.deleteConnection(ctx, q, p.Connection)
			return err
		})
	})
	return shopifysync.DeleteConnectionResult{Deleted: deleted && err == nil}, err
}

func (s *Store) deleteConnection(ctx context.Context, q querier, id shopifysync.ConnectionID) (bool, error) {
	r, err := q.ExecContext(ctx, s.text("DELETE FROM {connections} WHERE connection_id = ?"), string(id))
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// Connection implements [shopifysync.Connections]. The error of one whose secrets
// cannot be read matches [shopifysync.ErrInvalidConnection] and [ErrUnknownKey],
// [ErrSecretDamaged] or [ErrPlaintextSecret].
func (s *Store) Connection(ctx context.Context, id shopifysync.ConnectionID) (shopifysync.Connection, error) {
	if err := checkConnection(ctx, id); err != nil {
		return shopifysync.Connection{}, err
	}
	found, unreadable, err := s.queryConnections(ctx, "WHERE connection_id = ?", string(id))
	if err = cmp.Or(err, unreadable); err != nil {
		return shopifysync.Connection{}, err
	}
	if len(found) == 0 {
		return shopifysync.Connection{}, fmt.Errorf("connection %q: %w", id, shopifysync.ErrNotConnected)
	}
	return found[0], nil
}

// ConnectionsByShop implements [shopifysync.Connections]; they come by ascending
// ID. One whose secrets cannot be read comes without Credentials, so that it
// keeps nothing from the others.
func (s *Store) ConnectionsByShop(ctx context.Context, shop shopifysync.Shop) ([]shopifysync.Connection, error) {
	if refuseToken(string(shop)) != "" {
		return nil, nil
	}
	found, _, err := s.queryConnections(ctx, "WHERE shop = ? ORDER BY connection_id", string(shop))
	return found, err
}

// ListConnections implements [shopifysync.ConnectionStore]. One whose secrets
// cannot be read comes without Credentials, so that it keeps nothing from the
// others.
func (s *Store) ListConnections(ctx context.Context, p shopifysync.ListConnectionsParams) (shopifysync.ListConnectionsResult, error) {
	if err := checkLimit(p.Limit); err != nil {
		return shopifysync.ListConnectionsResult{}, err
	}
	if !storable(string(p.After)) {
		return shopifysync.ListConnectionsResult{}, fmt.Errorf("sqlstore: %w: no ID is like the one to list after", shopifysync.ErrInvalidConnection)
	}
	listed, _, err := s.queryConnections(ctx, "WHERE connection_id > ? ORDER BY connection_id LIMIT ?", string(p.After), int64(p.Limit))
	return shopifysync.ListConnectionsResult{Connections: listed}, err
}

// queryConnections also tells why one of them, the last, came without
// Credentials.
func (s *Store) queryConnections(ctx context.Context, where string, args ...any) (found []shopifysync.Connection, unreadable, err error) {
	err = s.retry(ctx, "read connections", func() error {
		rows, err := s.db.QueryContext(ctx, s.text(selectConnections+where), args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		found, unreadable = nil, nil
		for rows.Next() {
			c, why, err := s.scanConnection(rows)
			if err != nil {
				return err
			}
			found = append(found, c)
			unreadable = cmp.Or(why, unreadable)
		}
		return rows.Err()
	})
	return found, unreadable, err
}

func (s *Store) scanConnection(rows *sql.Rows) (c shopifysync.Connection, unreadable, err error) {
	var whatsApp shopifysync.WhatsAppSettings
	var clientID string
	var sealed [3]string
	var labels []byte
	err = rows.Scan(&c.ID, &c.Shop, &c.APIVersion, &clientID, &sealed[0], &sealed[1], &sealed[2],
		&whatsApp.AccountID, &whatsApp.Policy, &whatsApp.Country, &labels)
	if err != nil {
		return c, nil, err
	}
	if whatsApp.AccountID != "" {
		c.WhatsApp = &whatsApp
	}
	if json.Unmarshal(labels, &c.Labels) != nil {
		c.Labels = nil
		return c, ownf("connection %q: %w: its labels are not what this package writes: save it anew", c.ID, shopifysync.ErrInvalidConnection), nil
	}
	secrets, err := s.openAll(c.ID, c.Shop, sealed)
	if err != nil {
		return c, err, nil
	}
	c.Credentials = shopifysync.Credentials{
		ClientID: clientID, AccessToken: secrets[0], ClientSecret: secrets[1], PreviousClientSecret: secrets[2],
	}
	return c, nil, nil
}

// ReencryptSecrets encrypts with the newest key what an older one, or none,
// encrypted, and returns how many connections that were. It may be repeated,
// and run beside everything else. Connections whose secrets cannot be read are
// passed over: the error joins theirs, each of which matches
// [shopifysync.ErrInvalidConnection].
func (s *Store) ReencryptSecrets(ctx context.Context) (int, error) {
	if len(s.config.keys) == 0 {
		return 0, fmt.Errorf("sqlstore: %w", ErrNoEncryptionKeys)
	}
	done := 0
	var failed []error
	p := shopifysync.ListConnectionsParams{Limit: 100}
	for {
		page, err := s.ListConnections(ctx, p)
		if err != nil || len(page.Connections) == 0 {
			return done, errors.Join(append(failed, err)...)
		}
		for _, c := range page.Connections {
			changed, err := s.reencrypt(ctx, c.ID)
			switch {
			case errors.Is(err, shopifysync.ErrInvalidConnection):
				failed = append(failed, err)
			case err != nil:
				return done, errors.Join(append(failed, err)...)
			case changed:
				done++
			}
			p.After = c.ID
		}
	}
}

// reencrypt reads and writes a row's secrets in one transaction, so that a
// connection saved meanwhile is not undone.
func (s *Store) reencrypt(ctx context.Context, id shopifysync.ConnectionID) (changed bool, err error) {
	err = s.retry(ctx, "re-encrypt secrets", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			changed = false
			var shop shopifysync.Shop
			var old [3]string
			err := q.QueryRowContext(ctx,
				s.text("SELECT shop, access_token, client_secret, previous_client_secret FROM {connections} WHERE connection_id = ?"+s.dialect.lockRows()),
				string(id)).Scan(&shop, &old[0], &old[1], &old[2])
			if errors.Is(err, sql.ErrNoRows) { // deleted meanwhile
				return nil
			}
			if err != nil || s.newest(old) {
				return err
			}
			secrets, err := s.openAll(id, shop, old)
			if err != nil {
				return err
			}
			sealed, err := s.sealAll(id, shop, secrets[0], secrets[1], secrets[2])
			if err != nil {
				return err
			}
			changed = true
			_, err = q.ExecContext(ctx,
				s.text("UPDATE {connections} SET access_token = ?, client_secret = ?, previous_client_secret = ? WHERE connection_id = ?"),
				sealed[0], sealed[1], sealed[2], string(id))
			return err
		})
	})
	return changed && err == nil, err
}
