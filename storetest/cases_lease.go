package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
)

const (
	// Leases are watched by the store's own clock, which cannot be faked: these
	// are short, and waited for.
	shortTTL = 100 * time.Millisecond
	longTTL  = time.Hour
	// patience is how long a short lease may take to expire.
	patience = 20 * time.Second
)

func (c *check) tryAcquire(id shopifysync.ConnectionID, kind shopifysync.LeaseKind, ttl time.Duration) (shopifysync.Lease, error) {
	result, err := c.state.AcquireLease(c.ctx, shopifysync.AcquireLeaseParams{Connection: id, Kind: kind, Owner: "storetest", TTL: ttl})
	return result.Lease, err
}

func (c *check) acquire(id shopifysync.ConnectionID, kind shopifysync.LeaseKind, ttl time.Duration) shopifysync.Lease {
	c.Helper()
	lease, err := c.tryAcquire(id, kind, ttl)
	c.noError("AcquireLease", err)
	if lease.Connection != id || lease.Kind != kind {
		c.fatalf("AcquireLease of %q, %q returned the lease of %q, %q", id, kind, lease.Connection, lease.Kind)
	}
	return lease
}

func (c *check) held(id shopifysync.ConnectionID, kind shopifysync.LeaseKind) {
	c.Helper()
	_, err := c.tryAcquire(id, kind, longTTL)
	c.errorIs("AcquireLease of a lease that is held", err, shopifysync.ErrLeaseHeld)
}

func (c *check) renew(lease shopifysync.Lease, ttl time.Duration) error {
	_, err := c.state.RenewLease(c.ctx, shopifysync.RenewLeaseParams{Lease: lease, TTL: ttl})
	return err
}

func (c *check) release(lease shopifysync.Lease) {
	c.Helper()
	_, err := c.state.ReleaseLease(c.ctx, shopifysync.ReleaseLeaseParams{Lease: lease})
	c.noError("ReleaseLease", err)
}

// takeOver waits until the lease is free and takes it.
func (c *check) takeOver(id shopifysync.ConnectionID, kind shopifysync.LeaseKind) shopifysync.Lease {
	c.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(shortTTL / 10) {
		lease, err := c.tryAcquire(id, kind, longTTL)
		if err == nil {
			return lease
		}
		c.errorIs("AcquireLease of a lease that is held", err, shopifysync.ErrLeaseHeld)
		if time.Now().After(deadline) {
			c.fatalf("a lease of %v was not free after %v", shortTTL, patience)
		}
	}
}

func leaseCases() []testCase {
	const kind = shopifysync.LeaseRun
	return []testCase{
		{
			name: "Lease/OneWinner",
			rule: "Of all that want a lease at once one gets it; the others' errors match ErrLeaseHeld.",
			run: func(c *check) {
				const contenders = 32
				var mu sync.Mutex
				won := 0
				together(contenders, func(int) {
					_, err := c.tryAcquire(tenant, kind, longTTL)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						won++
					case !errors.Is(err, shopifysync.ErrLeaseHeld):
						c.errorf("AcquireLease: got the error %v, want one that matches: %v", err, shopifysync.ErrLeaseHeld)
					}
				})
				if won != 1 {
					c.fatalf("%d of %d got the lease, want 1", won, contenders)
				}
			},
		},
		{
			name: "Lease/Takeover",
			rule: "A lease that expired may be taken, and not before it expired; the epoch grows.",
			run: func(c *check) {
				began := time.Now()
				first := c.acquire(tenant, kind, shortTTL)
				second := c.takeOver(tenant, kind)
				if took := time.Since(began); took < shortTTL {
					c.fatalf("a lease of %v was taken over after %v", shortTTL, took)
				}
				if second.Epoch <= first.Epoch {
					c.fatalf("the epoch went from %d to %d", first.Epoch, second.Epoch)
				}
			},
		},
		{
			name: "Lease/Renew",
			rule: "A renewal extends the lease from now on.",
			run: func(c *check) {
				lease := c.acquire(tenant, kind, shortTTL)
				c.noError("RenewLease", c.renew(lease, longTTL))
				time.Sleep(2 * shortTTL)
				c.held(tenant, kind)
			},
		},
		{
			name: "Lease/RenewShorter",
			rule: "A renewal replaces what was left of the lease.",
			run: func(c *check) {
				lease := c.acquire(tenant, kind, longTTL)
				c.noError("RenewLease", c.renew(lease, shortTTL))
				c.takeOver(tenant, kind)
			},
		},
		{
			name: "Lease/RenewExpired",
			rule: "A lease that expired but was taken by nobody is renewed.",
			run: func(c *check) {
				lease := c.acquire(tenant, kind, shortTTL)
				time.Sleep(2 * shortTTL)
				c.noError("RenewLease", c.renew(lease, longTTL))
				c.held(tenant, kind)
			},
		},
		{
			name: "Lease/Release",
			rule: "A released lease may be taken at once; the epoch grows.",
			run: func(c *check) {
				last := c.acquire(tenant, kind, longTTL)
				for range 3 {
					c.release(last)
					next := c.acquire(tenant, kind, longTTL)
					if next.Epoch <= last.Epoch {
						c.fatalf("the epoch went from %d to %d", last.Epoch, next.Epoch)
					}
					last = next
				}
			},
		},
		{
			name: "Lease/Lost",
			rule: "Who lost a lease cannot renew it, cannot end the new holder's, and is told so, even when that one ended since.",
			run: func(c *check) {
				lost := c.acquire(tenant, kind, shortTTL)
				holder := c.takeOver(tenant, kind)
				c.errorIs("RenewLease of a lost lease", c.renew(lost, longTTL), shopifysync.ErrLeaseLost)
				c.release(lost)
				c.held(tenant, kind)
				c.noError("RenewLease", c.renew(holder, longTTL))
				c.release(holder)
				c.errorIs("RenewLease of a lost lease, after the new holder released it", c.renew(lost, longTTL), shopifysync.ErrLeaseLost)
				c.release(lost)
			},
		},
		{
			name: "Lease/Apart",
			rule: "Leases of other kinds and of other connections are other leases.",
			run: func(c *check) {
				ids := append(lookalikeConnections(), tenant, "tenant-2")
				for _, id := range ids {
					for _, kind := range []shopifysync.LeaseKind{shopifysync.LeaseRun, shopifysync.LeaseCatchUp, shopifysync.LeaseDrain, shopifysync.LeaseCheck} {
						c.acquire(id, kind, longTTL)
						c.held(id, kind)
					}
				}
				lease, err := c.tryAcquire(tenant+"\x00", kind, longTTL)
				if err == nil {
					c.fatalf("a connection id with a NUL in it got the lease %v", lease)
				}
			},
		},
		{
			name: "Lease/ReleaseApart",
			rule: "Ending or losing one lease leaves those of other kinds and connections alone.",
			run: func(c *check) {
				drain := c.acquire(tenant, shopifysync.LeaseDrain, longTTL)
				run := c.acquire(tenant, shopifysync.LeaseRun, longTTL)
				other := c.acquire("tenant-2", shopifysync.LeaseDrain, longTTL)
				c.release(drain)
				c.held(tenant, shopifysync.LeaseRun)
				c.held("tenant-2", shopifysync.LeaseDrain)
				c.acquire(tenant, shopifysync.LeaseDrain, longTTL)
				c.noError("RenewLease", c.renew(run, longTTL))
				c.noError("RenewLease", c.renew(other, longTTL))
			},
		},
		{
			name: "Lease/Cancelled",
			rule: "A call whose context has ended returns an error and takes nothing.",
			run: func(c *check) {
				_, err := c.state.AcquireLease(c.ended(), shopifysync.AcquireLeaseParams{Connection: tenant, Kind: kind, TTL: longTTL})
				c.cancelled("AcquireLease", err)
				lease := c.acquire(tenant, kind, longTTL)
				_, err = c.state.ReleaseLease(c.ended(), shopifysync.ReleaseLeaseParams{Lease: lease})
				c.cancelled("ReleaseLease", err)
				c.held(tenant, kind)
				_, err = c.state.RenewLease(c.ended(), shopifysync.RenewLeaseParams{Lease: lease, TTL: shortTTL})
				c.cancelled("RenewLease", err)
			},
		},
		{
			name: "Lease/Contended",
			rule: "At any time at most one holds a lease, and epochs never repeat.",
			run: func(c *check) {
				const rounds = 10
				var mu sync.Mutex
				epochs := make(map[int64]bool)
				together(writers, func(int) {
					for range rounds {
						lease, err := c.tryAcquire(tenant, kind, longTTL)
						if err != nil {
							continue
						}
						mu.Lock()
						if epochs[lease.Epoch] {
							c.errorf("the epoch %d was given twice", lease.Epoch)
						}
						epochs[lease.Epoch] = true
						mu.Unlock()
						c.insist("ReleaseLease", func() error {
							_, err := c.state.ReleaseLease(c.ctx, shopifysync.ReleaseLeaseParams{Lease: lease})
							return err
						})
					}
				})
				if len(epochs) == 0 {
					c.fatalf("nobody ever got the lease: %s", fmt.Sprint(writers*rounds)+" attempts")
				}
			},
		},
	}
}
