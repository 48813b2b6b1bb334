package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/omnichat/shopifysync"
)

// AcquireLease implements [shopifysync.StateStore], by the database's clock.
func (s *Store) AcquireLease(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
	if err := checkLease(ctx, p.Connection, p.Kind, p.TTL); err != nil {
		return shopifysync.AcquireLeaseResult{}, err
	}
	lease := shopifysync.Lease{Connection: p.Connection, Kind: p.Kind}
	owner := plainText(p.Owner, 1000)
	err := s.retry(ctx, "acquire a lease", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			var remaining int64
			err := q.QueryRowContext(ctx,
				s.text("SELECT epoch, expires_at - {now} FROM {leases} WHERE connection_id = ? AND kind = ?"+s.dialect.lockRows()),
				string(p.Connection), string(p.Kind)).Scan(&lease.Epoch, &remaining)
			switch {
			case errors.Is(err, sql.ErrNoRows):
				lease.Epoch = 1
				_, err := q.ExecContext(ctx,
					s.text("INSERT INTO {leases} (connection_id, kind, epoch, owner, expires_at) VALUES (?, ?, 1, ?, {now} + ?)"),
					string(p.Connection), string(p.Kind), owner, ttlMillis(p.TTL))
				return err
			case err != nil:
				return err
			case remaining > 0:
				return ownf("lease %q: %w", p.Kind, shopifysync.ErrLeaseHeld)
			}
			lease.Epoch++
			_, err = q.ExecContext(ctx,
				s.text("UPDATE {leases} SET epoch = ?, owner = ?, expires_at = {now} + ? WHERE connection_id = ? AND kind = ?"),
				lease.Epoch, owner, ttlMillis(p.TTL), string(p.Connection), string(p.Kind))
			return err
		})
	})
	if err != nil {
		return shopifysync.AcquireLeaseResult{}, err
	}
	return shopifysync.AcquireLeaseResult{Lease: lease}, nil
}

// RenewLease implements [shopifysync.StateStore].
func (s *Store) RenewLease(ctx context.Context, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
	if err := checkLease(ctx, p.Lease.Connection, p.Lease.Kind, p.TTL); err != nil {
		return shopifysync.RenewLeaseResult{}, err
	}
	return shopifysync.RenewLeaseResult{}, s.retry(ctx, "renew a lease", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			if err := s.fence(ctx, q, p.Lease); err != nil {
				return err
			}
			_, err := q.ExecContext(ctx, s.text("UPDATE {leases} SET expires_at = {now} + ? WHERE connection_id = ? AND kind = ?"),
				ttlMillis(p.TTL), string(p.Lease.Connection), string(p.Lease.Kind))
			return err
		})
	})
}

// ReleaseLease implements [shopifysync.StateStore]. The row stays, for its
// epoch must go on growing.
func (s *Store) ReleaseLease(ctx context.Context, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
	l := p.Lease
	if err := checkConnection(ctx, l.Connection); err != nil {
		return shopifysync.ReleaseLeaseResult{}, err
	}
	return shopifysync.ReleaseLeaseResult{}, s.retry(ctx, "release a lease", func() error {
		return s.inTransaction(ctx, func(q querier) error {
			_, err := q.ExecContext(ctx, s.text("UPDATE {leases} SET expires_at = 0 WHERE connection_id = ? AND kind = ? AND epoch = ?"),
				string(l.Connection), string(l.Kind), l.Epoch)
			return err
		})
	})
}

// fence fails unless nobody took the lease since, and keeps it so until the
// transaction ends.
func (s *Store) fence(ctx context.Context, q querier, l shopifysync.Lease) error {
	var epoch int64
	err := q.QueryRowContext(ctx,
		s.text("SELECT epoch FROM {leases} WHERE connection_id = ? AND kind = ?"+s.dialect.lockRows()),
		string(l.Connection), string(l.Kind)).Scan(&epoch)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	case err != nil || epoch != l.Epoch:
		return ownf("lease %q: %w", l.Kind, shopifysync.ErrLeaseLost)
	}
	return nil
}

func checkLease(ctx context.Context, id shopifysync.ConnectionID, kind shopifysync.LeaseKind, ttl time.Duration) error {
	if ttl <= 0 {
		return errors.New("sqlstore: a lease's TTL must be more than 0")
	}
	if kind == "" || len(kind) > 32 || !storable(string(kind)) {
		return errors.New("sqlstore: a lease's kind must have 1 to 32 bytes: use shopifysync.LeaseRun, LeaseCatchUp, LeaseDrain or LeaseCheck")
	}
	return checkConnection(ctx, id)
}

// ttlMillis rounds up: a lease of half a millisecond is a lease.
func ttlMillis(ttl time.Duration) int64 {
	return (ttl + time.Millisecond - 1).Milliseconds()
}
