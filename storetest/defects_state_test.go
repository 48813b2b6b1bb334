package storetest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/omnichat/shopifysync"
)

// leaseDefect overrides leases; the functions are called with the MemoryStore.
type leaseDefect struct {
	acquire func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error)
	renew   func(m *shopifysync.MemoryStore, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error)
	release func(m *shopifysync.MemoryStore, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error)
}

func leasing(d func() leaseDefect) func() shopifysync.ContactStore {
	return func() shopifysync.ContactStore {
		d := d()
		return override(func(s *overridden) {
			m := s.MemoryStore
			if d.acquire != nil {
				s.acquireLease = func(_ context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
					return d.acquire(m, p)
				}
			}
			if d.renew != nil {
				s.renewLease = func(_ context.Context, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
					return d.renew(m, p)
				}
			}
			if d.release != nil {
				s.releaseLease = func(_ context.Context, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
					return d.release(m, p)
				}
			}
		})
	}
}

func acquiring(change func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error)) func() shopifysync.ContactStore {
	return leasing(func() leaseDefect { return leaseDefect{acquire: change} })
}

func saving(change func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.saveRun = func(_ context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
			return change(s.MemoryStore, p)
		}
	})
}

// fencing is saving, for a store that knows the lease's latest epoch.
func fencing(change func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams, latest int64) (shopifysync.SaveRunResult, error)) func() shopifysync.ContactStore {
	return func() shopifysync.ContactStore {
		var latest int64
		return override(func(s *overridden) {
			s.acquireLease = func(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
				result, err := s.MemoryStore.AcquireLease(ctx, p)
				latest = max(latest, result.Lease.Epoch)
				return result, err
			}
			s.saveRun = func(_ context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
				return change(s.MemoryStore, p, latest)
			}
		})
	}
}

func listingRuns(change func(m *shopifysync.MemoryStore, p shopifysync.RunsParams) (shopifysync.RunsResult, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.listRuns = func(_ context.Context, p shopifysync.RunsParams) (shopifysync.RunsResult, error) {
			return change(s.MemoryStore, p)
		}
	})
}

// putting changes each mark before it is put; old is the one there is.
func putting(change func(m *shopifysync.MemoryStore, old *shopifysync.Mark, in *shopifysync.Mark)) func() shopifysync.ContactStore {
	var mu sync.Mutex
	return overriding(func(s *overridden) {
		s.putMarks = func(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
			mu.Lock()
			defer mu.Unlock()
			for _, in := range p.Marks {
				before, err := s.MemoryStore.Marks(ctx, shopifysync.MarksParams{Connection: p.Connection, After: in.CustomerID - 1, Limit: 1})
				if err != nil {
					return shopifysync.PutMarksResult{}, err
				}
				var old *shopifysync.Mark
				if len(before.Marks) > 0 && before.Marks[0].CustomerID == in.CustomerID {
					old = &before.Marks[0]
				}
				change(s.MemoryStore, old, &in)
				p.Marks = []shopifysync.Mark{in}
				if _, err := s.MemoryStore.PutMarks(ctx, p); err != nil {
					return shopifysync.PutMarksResult{}, err
				}
			}
			return shopifysync.PutMarksResult{}, nil
		}
	})
}

// dropMark clears the mark that is there, so that the one put is a new one.
func dropMark(m *shopifysync.MemoryStore, old *shopifysync.Mark) {
	_, _ = m.ClearMarks(context.Background(), shopifysync.ClearMarksParams{Connection: old.Connection, Marks: []shopifysync.Mark{*old}})
}

func listingMarks(change func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MarksParams) (shopifysync.MarksResult, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.listMarks = func(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
			return change(ctx, s.MemoryStore, p)
		}
	})
}

func clearing(change func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.clearMarks = func(ctx context.Context, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
			return change(ctx, s.MemoryStore, p)
		}
	})
}

// forced returns the lease's latest epoch by trying.
func forced(m *shopifysync.MemoryStore, l shopifysync.Lease) shopifysync.Lease {
	for l.Epoch = range 100 {
		if _, err := m.RenewLease(context.Background(), shopifysync.RenewLeaseParams{Lease: l, TTL: longTTL}); err == nil {
			break
		}
	}
	return l
}

func stateDefects() []defect {
	ctx := context.Background()
	return []defect{
		// Leases.
		{"a lease for everybody", "Lease/OneWinner", "got the lease, want 1", acquiring(func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
			_, _ = m.AcquireLease(ctx, p)
			return shopifysync.AcquireLeaseResult{Lease: shopifysync.Lease{Connection: p.Connection, Kind: p.Kind, Epoch: 1}}, nil
		})},
		{"another error for a held lease", "Lease/OneWinner", "want one that matches", acquiring(func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
			result, err := m.AcquireLease(ctx, p)
			if err != nil {
				err = shopifysync.ErrSyncInProgress
			}
			return result, err
		})},
		{"leases never expire", "Lease/Takeover", "was not free after", acquiring(func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
			p.TTL = 1000 * time.Hour
			return m.AcquireLease(ctx, p)
		})},
		{"leases expire early", "Lease/Takeover", "was taken over after", acquiring(func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
			p.TTL /= 2
			return m.AcquireLease(ctx, p)
		})},
		{"the epoch does not grow", "Lease/Takeover", "the epoch went from 1 to 1", acquiring(func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
			result, err := m.AcquireLease(ctx, p)
			result.Lease.Epoch = 1
			return result, err
		})},
		{"a renewal does nothing", "Lease/Renew", "want one that matches", leasing(func() leaseDefect {
			return leaseDefect{renew: func(*shopifysync.MemoryStore, shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
				return shopifysync.RenewLeaseResult{}, nil
			}}
		})},
		{"a renewal adds to what is left", "Lease/RenewShorter", "was not free after", leasing(func() leaseDefect {
			return leaseDefect{renew: func(m *shopifysync.MemoryStore, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
				p.TTL += longTTL
				return m.RenewLease(ctx, p)
			}}
		})},
		{"an expired lease is not renewed", "Lease/RenewExpired", "RenewLease failed", leasing(func() leaseDefect {
			var expires time.Time
			return leaseDefect{
				acquire: func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
					expires = time.Now().Add(p.TTL)
					return m.AcquireLease(ctx, p)
				},
				renew: func(m *shopifysync.MemoryStore, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
					if time.Now().After(expires) {
						return shopifysync.RenewLeaseResult{}, shopifysync.ErrLeaseLost
					}
					return m.RenewLease(ctx, p)
				},
			}
		})},
		{"a release does nothing", "Lease/Release", "AcquireLease failed", leasing(func() leaseDefect {
			return leaseDefect{release: func(*shopifysync.MemoryStore, shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
				return shopifysync.ReleaseLeaseResult{}, nil
			}}
		})},
		{"a release forgets the epoch", "Lease/Release", "the epoch went from 1 to 1", leasing(func() leaseDefect {
			m := shopifysync.NewMemoryStore()
			return leaseDefect{
				acquire: func(_ *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
					return m.AcquireLease(ctx, p)
				},
				release: func(_ *shopifysync.MemoryStore, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
					m = shopifysync.NewMemoryStore()
					return shopifysync.ReleaseLeaseResult{}, nil
				},
			}
		})},
		{"who lost a lease renews it", "Lease/Lost", "want one that matches", leasing(func() leaseDefect {
			return leaseDefect{renew: func(m *shopifysync.MemoryStore, p shopifysync.RenewLeaseParams) (shopifysync.RenewLeaseResult, error) {
				return m.RenewLease(ctx, shopifysync.RenewLeaseParams{Lease: forced(m, p.Lease), TTL: p.TTL})
			}}
		})},
		{"who lost a lease ends the new holder's", "Lease/Lost", "want one that matches", leasing(func() leaseDefect {
			return leaseDefect{release: func(m *shopifysync.MemoryStore, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
				return m.ReleaseLease(ctx, shopifysync.ReleaseLeaseParams{Lease: forced(m, p.Lease)})
			}}
		})},
		{"releasing a lost lease is an error", "Lease/Lost", "ReleaseLease failed", leasing(func() leaseDefect {
			return leaseDefect{release: func(m *shopifysync.MemoryStore, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
				if _, err := m.RenewLease(ctx, shopifysync.RenewLeaseParams{Lease: p.Lease, TTL: longTTL}); err != nil {
					return shopifysync.ReleaseLeaseResult{}, err
				}
				return m.ReleaseLease(ctx, p)
			}}
		})},
		{"one lease for all kinds", "Lease/Apart", "AcquireLease failed", acquiring(func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
			kind := p.Kind
			p.Kind = "any"
			result, err := m.AcquireLease(ctx, p)
			result.Lease.Kind = kind
			return result, err
		})},
		{"one lease for connections alike", "Lease/Apart", "AcquireLease failed", acquiring(func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
			id := p.Connection
			p.Connection = connID(strings.ToLower(string(id)))
			result, err := m.AcquireLease(ctx, p)
			result.Lease.Connection = id
			return result, err
		})},
		{"a release ends every kind", "Lease/ReleaseApart", "want one that matches", leasing(func() leaseDefect {
			return leaseDefect{release: func(m *shopifysync.MemoryStore, p shopifysync.ReleaseLeaseParams) (shopifysync.ReleaseLeaseResult, error) {
				for _, kind := range []shopifysync.LeaseKind{shopifysync.LeaseRun, shopifysync.LeaseCatchUp, shopifysync.LeaseDrain} {
					p.Lease.Kind = kind
					if _, err := m.ReleaseLease(ctx, p); err != nil {
						return shopifysync.ReleaseLeaseResult{}, err
					}
				}
				return shopifysync.ReleaseLeaseResult{}, nil
			}}
		})},
		{"ignores the context", "Lease/Cancelled", "returned no error though its context", acquiring(func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
			return m.AcquireLease(ctx, p)
		})},
		{"an epoch twice", "Lease/Contended", "was given twice", leasing(func() leaseDefect {
			return leaseDefect{acquire: func(m *shopifysync.MemoryStore, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
				result, err := m.AcquireLease(ctx, p)
				result.Lease.Epoch = 1
				return result, err
			}}
		})},

		// Runs.
		{"loses why customers were skipped", "Run/RoundTrip", "run 0 of connection", saving(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
			p.Run.Report.Skipped = nil
			return m.SaveRun(ctx, p)
		})},
		{"keeps a run's times in seconds", "Run/RoundTrip", "run 0 of connection", saving(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
			p.Run.UpdatedAt = p.Run.UpdatedAt.Truncate(time.Second)
			return m.SaveRun(ctx, p)
		})},
		{"counts in floats", "Run/RoundTrip", "run 0 of connection", saving(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
			p.Run.Report.Seen = int64(float64(p.Run.Report.Seen))
			return m.SaveRun(ctx, p)
		})},
		{"keeps the checkpoint of a run that ended", "Run/Replaced", "run 0 of connection", saving(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
			before, err := m.Runs(ctx, shopifysync.RunsParams{Connection: p.Run.Connection, Limit: 1})
			if err == nil && len(before.Runs) > 0 && len(p.Run.Checkpoint) == 0 {
				p.Run.Checkpoint = before.Runs[0].Checkpoint
			}
			return m.SaveRun(ctx, p)
		})},
		{"cuts the checkpoint at 65,535 bytes", "Run/Checkpoint", "run 0 of connection", saving(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
			p.Run.Checkpoint = p.Run.Checkpoint[:min(len(p.Run.Checkpoint), 65535)]
			return m.SaveRun(ctx, p)
		})},
		{"takes the checkpoint for a text", "Run/Checkpoint", "run 0 of connection", saving(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
			p.Run.Checkpoint = []byte(strings.ToValidUTF8(string(p.Run.Checkpoint), "\ufffd"))
			return m.SaveRun(ctx, p)
		})},
		{"the oldest run first", "Run/History", "run 0 of connection", listingRuns(func(m *shopifysync.MemoryStore, p shopifysync.RunsParams) (shopifysync.RunsResult, error) {
			result, err := m.Runs(ctx, p)
			slices.Reverse(result.Runs)
			return result, err
		})},
		{"the latest saved run first", "Run/History", "run 0 of connection", listingRuns(func(m *shopifysync.MemoryStore, p shopifysync.RunsParams) (shopifysync.RunsResult, error) {
			result, err := m.Runs(ctx, p)
			slices.SortStableFunc(result.Runs, func(a, b shopifysync.Run) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
			return result, err
		})},
		{"ignores the limit of runs", "Run/History", "limit of 2", listingRuns(func(m *shopifysync.MemoryStore, p shopifysync.RunsParams) (shopifysync.RunsResult, error) {
			return m.Runs(ctx, shopifysync.RunsParams{Connection: p.Connection, Limit: 100})
		})},
		{"everybody's runs", "Run/Apart", "runs, want", func() shopifysync.ContactStore {
			var all []shopifysync.Run
			return override(func(s *overridden) {
				s.saveRun = func(ctx context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
					all = append(all, p.Run)
					return s.MemoryStore.SaveRun(ctx, p)
				}
				s.listRuns = func(context.Context, shopifysync.RunsParams) (shopifysync.RunsResult, error) {
					return shopifysync.RunsResult{Runs: all}, nil
				}
			})
		}},
		{"saves runs unfenced", "Run/Fenced", "want one that matches", fencing(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams, latest int64) (shopifysync.SaveRunResult, error) {
			p.Lease.Epoch = latest
			return m.SaveRun(ctx, p)
		})},
		{"stores, and then looks at the fence", "Run/Fenced", "run 0 of connection", fencing(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams, latest int64) (shopifysync.SaveRunResult, error) {
			if p.Run.ID == "run-1" && p.Lease.Epoch != latest { // updates what there is, inserts nothing
				p.Lease.Epoch = latest
				_, _ = m.SaveRun(ctx, p)
				return shopifysync.SaveRunResult{}, shopifysync.ErrLeaseLost
			}
			return m.SaveRun(ctx, p)
		})},
		{"lets epochs that are not given yet through", "Run/Fenced", "want one that matches", fencing(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams, latest int64) (shopifysync.SaveRunResult, error) {
			p.Lease.Epoch = min(p.Lease.Epoch, latest)
			return m.SaveRun(ctx, p)
		})},
		{"an expired lease saves no run", "Run/Expired", "SaveRun failed", func() shopifysync.ContactStore {
			var expires time.Time
			return override(func(s *overridden) {
				s.acquireLease = func(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
					expires = time.Now().Add(p.TTL)
					return s.MemoryStore.AcquireLease(ctx, p)
				}
				s.saveRun = func(ctx context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
					if time.Now().After(expires) {
						return shopifysync.SaveRunResult{}, shopifysync.ErrLeaseLost
					}
					return s.MemoryStore.SaveRun(ctx, p)
				}
			})
		}},
		{"other kinds fence runs off", "Run/OtherKinds", "SaveRun failed", func() shopifysync.ContactStore {
			var latest int64
			return override(func(s *overridden) {
				s.acquireLease = func(ctx context.Context, p shopifysync.AcquireLeaseParams) (shopifysync.AcquireLeaseResult, error) {
					result, err := s.MemoryStore.AcquireLease(ctx, p)
					latest = max(latest, result.Lease.Epoch)
					return result, err
				}
				s.saveRun = func(ctx context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
					if p.Lease.Epoch < latest {
						return shopifysync.SaveRunResult{}, shopifysync.ErrLeaseLost
					}
					return s.MemoryStore.SaveRun(ctx, p)
				}
			})
		}},
		{"keeps the caller's run", "Run/NotShared", "run 0 of connection", func() shopifysync.ContactStore {
			var last shopifysync.Run
			return override(func(s *overridden) {
				s.saveRun = func(_ context.Context, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
					last = p.Run
					return shopifysync.SaveRunResult{}, nil
				}
				s.listRuns = func(context.Context, shopifysync.RunsParams) (shopifysync.RunsResult, error) {
					return shopifysync.RunsResult{Runs: []shopifysync.Run{last}}, nil
				}
			})
		}},
		{"cuts a run's error at 255 bytes", "Run/LongError", "run 0 of connection", saving(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
			p.Run.Error = p.Run.Error[:min(len(p.Run.Error), 255)]
			return m.SaveRun(ctx, p)
		})},
		{"ignores the context of SaveRun", "Run/Cancelled", "returned no error though its context", saving(func(m *shopifysync.MemoryStore, p shopifysync.SaveRunParams) (shopifysync.SaveRunResult, error) {
			return m.SaveRun(ctx, p)
		})},

		// Marks.
		{"changes the marks passed in", "Mark/RoundTrip", "PutMarks changed the values passed in", overriding(func(s *overridden) {
			m := s.MemoryStore
			s.putMarks = func(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
				result, err := m.PutMarks(ctx, p)
				for i := range p.Marks {
					p.Marks[i].Generation++
				}
				return result, err
			}
		})},
		{"sorts the marks to clear", "Mark/Cleared", "ClearMarks changed the values passed in", clearing(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
			result, err := m.ClearMarks(ctx, p)
			slices.Reverse(p.Marks)
			return result, err
		})},
		{"loses the floor", "Mark/RoundTrip", "the mark of customer", putting(func(_ *shopifysync.MemoryStore, _, in *shopifysync.Mark) { in.Floor = time.Time{} })},
		{"cuts the reason at 100 bytes", "Mark/RoundTrip", "the mark of customer", putting(func(_ *shopifysync.MemoryStore, _, in *shopifysync.Mark) {
			in.Reason = in.Reason[:min(len(in.Reason), 100)]
		})},
		{"the later NotBefore", "Mark/Again", "the mark of customer", putting(func(m *shopifysync.MemoryStore, old, in *shopifysync.Mark) {
			if old != nil && old.NotBefore.Before(in.NotBefore) {
				dropMark(m, old)
				in.Generation = old.Generation
			}
		})},
		{"lowers the floor", "Mark/Again", "the mark of customer", putting(func(m *shopifysync.MemoryStore, old, in *shopifysync.Mark) {
			if old != nil && in.Floor.Before(old.Floor) {
				dropMark(m, old)
			}
		})},
		{"keeps the attempts", "Mark/Again", "the mark of customer", putting(func(_ *shopifysync.MemoryStore, old, in *shopifysync.Mark) {
			if old != nil && in.Attempts == 0 {
				in.Attempts = old.Attempts
			}
		})},
		{"forgets a deletion", "Mark/Deleted", "the mark of customer", putting(func(m *shopifysync.MemoryStore, old, in *shopifysync.Mark) {
			if old != nil && in.Reason != "" {
				dropMark(m, old)
			}
		})},
		{"does not count a mark put again", "Mark/Again", "the generation went from", func() shopifysync.ContactStore {
			return override(func(s *overridden) {
				s.listMarks = func(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
					result, err := s.MemoryStore.Marks(ctx, p)
					for i := range result.Marks {
						result.Marks[i].Generation = 1
					}
					return result, err
				}
			})
		}},
		{"the last of two marks in a call", "Mark/Twice", "the mark of customer", overriding(func(s *overridden) {
			s.putMarks = func(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
				last := make(map[customer]shopifysync.Mark)
				for _, m := range p.Marks {
					last[m.CustomerID] = m
				}
				p.Marks = slices.Collect(maps.Values(last))
				return s.MemoryStore.PutMarks(ctx, p)
			}
		})},
		{"counts what it was asked to clear", "Mark/Cleared", "ClearMarks counted", clearing(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
			result, err := m.ClearMarks(ctx, p)
			result.Cleared = int64(len(p.Marks))
			return result, err
		})},
		{"clears every mark when asked for none", "Mark/Cleared", "ClearMarks counted 1 for no marks", clearing(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
			if len(p.Marks) == 0 {
				all, err := m.Marks(ctx, shopifysync.MarksParams{Connection: p.Connection, Limit: 100})
				if err != nil {
					return shopifysync.ClearMarksResult{}, err
				}
				p.Marks = all.Marks
			}
			return m.ClearMarks(ctx, p)
		})},
		{"clears whatever the generation", "Mark/PutDuringFetch", "ClearMarks counted 2, want 1", clearing(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
			all, err := m.Marks(ctx, shopifysync.MarksParams{Connection: p.Connection, Limit: 100})
			if err != nil {
				return shopifysync.ClearMarksResult{}, err
			}
			p.Marks = slices.DeleteFunc(all.Marks, func(o shopifysync.Mark) bool {
				return !slices.ContainsFunc(p.Marks, func(c shopifysync.Mark) bool { return c.CustomerID == o.CustomerID })
			})
			return m.ClearMarks(ctx, p)
		})},
		{"generations start over after a clearing", "Mark/PutAfterClearing", "was cleared by the earlier one's generation", startingOver},
		{"returns marks that are not due", "Mark/Due", "due by then", listingMarks(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
			p.DueBy = time.Time{}
			return m.Marks(ctx, p)
		})},
		{"a mark is due after its time", "Mark/Due", "due by then", listingMarks(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
			if !p.DueBy.IsZero() {
				p.DueBy = p.DueBy.Add(-time.Millisecond)
			}
			return m.Marks(ctx, p)
		})},
		{"due to the second", "Mark/Due", "due a millisecond earlier", listingMarks(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
			if !p.DueBy.IsZero() {
				p.DueBy = p.DueBy.Add(time.Second).Truncate(time.Second)
			}
			return m.Marks(ctx, p)
		})},
		{"Open counts what is due", "Mark/Due", "marks are open, want 6", listingMarks(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
			result, err := m.Marks(ctx, p)
			result.Open = int64(len(result.Marks))
			return result, err
		})},
		{"marks as floats", "Mark/Many", "", listingMarks(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
			result, err := m.Marks(ctx, p)
			for i := range result.Marks {
				result.Marks[i].CustomerID = customer(float64(result.Marks[i].CustomerID))
			}
			return result, err
		})},
		{"marks in the order put", "Mark/Many", "", listingMarks(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
			result, err := m.Marks(ctx, p)
			slices.Reverse(result.Marks)
			return result, err
		})},
		{"everybody's open marks", "Mark/Apart", "open marks, want 2", func() shopifysync.ContactStore {
			known := make(map[connID]bool)
			return override(func(s *overridden) {
				s.putMarks = func(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
					known[p.Connection] = true
					return s.MemoryStore.PutMarks(ctx, p)
				}
				s.listMarks = func(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
					result, err := s.MemoryStore.Marks(ctx, p)
					result.Open = int64(2 * len(known))
					return result, err
				}
			})
		}},
		{"reads, then writes marks", "Mark/Concurrent", "the generation went from", countingMarks},
		{"clears what is cleared already", "Mark/ClearedOnce", "times", clearing(func(ctx context.Context, m *shopifysync.MemoryStore, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
			_, err := m.ClearMarks(ctx, p)
			return shopifysync.ClearMarksResult{Cleared: int64(len(p.Marks))}, err
		})},
		{"ignores the context of marks", "Mark/Cancelled", "returned no error though its context", overriding(func(s *overridden) {
			s.putMarks = func(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
				return s.MemoryStore.PutMarks(context.WithoutCancel(ctx), p)
			}
		})},
	}
}

// startingOver gives every new mark the generation 1.
func startingOver() shopifysync.ContactStore {
	generations := make(map[customer]int64)
	return override(func(s *overridden) {
		m := s.MemoryStore
		s.putMarks = func(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
			for _, mark := range p.Marks {
				generations[mark.CustomerID]++
			}
			return m.PutMarks(ctx, p)
		}
		s.listMarks = func(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
			result, err := m.Marks(ctx, p)
			for i := range result.Marks {
				result.Marks[i].Generation = generations[result.Marks[i].CustomerID]
			}
			return result, err
		}
		s.clearMarks = func(ctx context.Context, p shopifysync.ClearMarksParams) (shopifysync.ClearMarksResult, error) {
			all, err := m.Marks(ctx, shopifysync.MarksParams{Connection: p.Connection, Limit: 100})
			if err != nil {
				return shopifysync.ClearMarksResult{}, err
			}
			all.Marks = slices.DeleteFunc(all.Marks, func(o shopifysync.Mark) bool {
				return !slices.ContainsFunc(p.Marks, func(c shopifysync.Mark) bool {
					return c.CustomerID == o.CustomerID && c.Generation == generations[c.CustomerID]
				})
			})
			for _, cleared := range all.Marks {
				delete(generations, cleared.CustomerID)
			}
			p.Marks = all.Marks
			return m.ClearMarks(ctx, p)
		}
	})
}

// countingMarks keeps generations of its own, and loses some when marks are
// put at once.
func countingMarks() shopifysync.ContactStore {
	var mu sync.Mutex
	generations := make(map[customer]int64)
	return override(func(s *overridden) {
		m := s.MemoryStore
		s.putMarks = func(ctx context.Context, p shopifysync.PutMarksParams) (shopifysync.PutMarksResult, error) {
			for _, mark := range p.Marks {
				mu.Lock()
				before := generations[mark.CustomerID]
				mu.Unlock()
				patient()
				mu.Lock()
				generations[mark.CustomerID] = before + 1
				mu.Unlock()
			}
			return m.PutMarks(ctx, p)
		}
		s.listMarks = func(ctx context.Context, p shopifysync.MarksParams) (shopifysync.MarksResult, error) {
			result, err := m.Marks(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			for i := range result.Marks {
				result.Marks[i].Generation = generations[result.Marks[i].CustomerID]
			}
			return result, err
		}
	})
}

func savingConnections(change func(c *shopifysync.Connection)) func() shopifysync.ContactStore {
	return overriding(func(s *overridden) {
		s.save = func(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
			p.Connection.Labels = maps.Clone(p.Connection.Labels)
			change(&p.Connection)
			return s.MemoryStore.SaveConnection(ctx, p)
		}
	})
}

func connectionDefects() []defect {
	return []defect{
		{"marshals secrets", "Connection/RoundTrip", "ClientSecret", savingConnections(func(c *shopifysync.Connection) {
			b, _ := json.Marshal(c.Credentials.ClientSecret)
			c.Credentials.ClientSecret = shopifysync.NewSecret(strings.Trim(string(b), `"`))
		})},
		{"cuts tokens at 255 bytes", "Connection/RoundTrip", "AccessToken", savingConnections(func(c *shopifysync.Connection) {
			token := c.Credentials.AccessToken.Reveal()
			c.Credentials.AccessToken = shopifysync.NewSecret(token[:min(len(token), 255)])
		})},
		{"loses the previous secret", "Connection/RoundTrip", "PreviousClientSecret", savingConnections(func(c *shopifysync.Connection) {
			c.Credentials.PreviousClientSecret = shopifysync.Secret{}
		})},
		{"loses the WhatsApp settings", "Connection/RoundTrip", "WhatsApp", savingConnections(func(c *shopifysync.Connection) { c.WhatsApp = nil })},
		{"loses the WhatsApp policy", "Connection/RoundTrip", "WhatsApp", savingConnections(func(c *shopifysync.Connection) {
			if c.WhatsApp != nil {
				settings := *c.WhatsApp
				settings.Policy = shopifysync.WhatsAppAll
				c.WhatsApp = &settings
			}
		})},
		{"loses empty labels", "Connection/RoundTrip", "Labels", savingConnections(func(c *shopifysync.Connection) { delete(c.Labels, "") })},
		{"fills the default API version in", "Connection/RoundTrip", "APIVersion", savingConnections(func(c *shopifysync.Connection) {
			if c.APIVersion == "" {
				c.APIVersion = shopifysync.DefaultAPIVersion
			}
		})},
		{"keeps labels that are gone", "Connection/Replace", "Labels", overriding(func(s *overridden) {
			s.save = func(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
				old, err := s.MemoryStore.Connection(ctx, p.Connection.ID)
				if err == nil {
					maps.Copy(old.Labels, p.Connection.Labels)
					p.Connection.Labels = old.Labels
				}
				return s.MemoryStore.SaveConnection(ctx, p)
			}
		})},
		{"an empty connection for an unknown id", "Connection/NotConnected", "want one that matches", overriding(func(s *overridden) {
			s.connection = func(ctx context.Context, id connID) (shopifysync.Connection, error) {
				conn, _ := s.MemoryStore.Connection(ctx, id)
				return conn, ctx.Err()
			}
		})},
		{"does not delete", "Connection/Delete", "Deleted is", overriding(func(s *overridden) {
			s.remoteDelete = func(context.Context, shopifysync.DeleteConnectionParams) (shopifysync.DeleteConnectionResult, error) {
				return shopifysync.DeleteConnectionResult{Deleted: true}, nil
			}
		})},
		{"deletes the shop's connections", "Connection/Delete", "ListConnections: got", overriding(func(s *overridden) {
			s.remoteDelete = func(ctx context.Context, p shopifysync.DeleteConnectionParams) (shopifysync.DeleteConnectionResult, error) {
				result, err := s.MemoryStore.DeleteConnection(ctx, p)
				p.Connection = "tenant-2"
				_, _ = s.MemoryStore.DeleteConnection(ctx, p)
				return result, err
			}
		})},
		{"finds shops by a part of their name", "Connection/ByShop", "ConnectionsByShop", overriding(func(s *overridden) {
			s.byShop = func(ctx context.Context, shop shopifysync.Shop) ([]shopifysync.Connection, error) {
				all, err := s.MemoryStore.ListConnections(ctx, shopifysync.ListConnectionsParams{Limit: 100})
				return slices.DeleteFunc(all.Connections, func(c shopifysync.Connection) bool {
					return !strings.HasSuffix(string(c.Shop), string(shop))
				}), err
			}
		})},
		{"one connection per shop", "Connection/ByShop", "ConnectionsByShop", overriding(func(s *overridden) {
			s.byShop = func(ctx context.Context, shop shopifysync.Shop) ([]shopifysync.Connection, error) {
				all, err := s.MemoryStore.ConnectionsByShop(ctx, shop)
				return all[:min(len(all), 1)], err
			}
		})},
		{"lists in the order of a dictionary", "Connection/List", "ListConnections returned", overriding(func(s *overridden) {
			s.list = func(ctx context.Context, p shopifysync.ListConnectionsParams) (shopifysync.ListConnectionsResult, error) {
				result, err := s.MemoryStore.ListConnections(ctx, p)
				slices.SortFunc(result.Connections, func(a, b shopifysync.Connection) int {
					return strings.Compare(strings.ToLower(string(a.ID)), strings.ToLower(string(b.ID)))
				})
				return result, err
			}
		})},
		{"lists without secrets", "Connection/List", "is listed otherwise", overriding(func(s *overridden) {
			s.list = func(ctx context.Context, p shopifysync.ListConnectionsParams) (shopifysync.ListConnectionsResult, error) {
				result, err := s.MemoryStore.ListConnections(ctx, p)
				for i := range result.Connections {
					result.Connections[i].Credentials.AccessToken = shopifysync.Secret{}
				}
				return result, err
			}
		})},
		{"folds the case of ids", "Connection/ByteExactIDs", "Created is", overriding(func(s *overridden) {
			real := make(map[string]connID)
			s.save = func(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
				folded := strings.ToLower(string(p.Connection.ID))
				if _, known := real[folded]; known {
					return shopifysync.SaveConnectionResult{}, nil
				}
				real[folded] = p.Connection.ID
				return s.MemoryStore.SaveConnection(ctx, p)
			}
		})},
		{"keeps the caller's labels", "Connection/NotShared", "Labels", func() shopifysync.ContactStore {
			labels := make(map[connID]map[string]string)
			return override(func(s *overridden) {
				s.save = func(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
					labels[p.Connection.ID] = p.Connection.Labels
					return s.MemoryStore.SaveConnection(ctx, p)
				}
				s.connection = func(ctx context.Context, id connID) (shopifysync.Connection, error) {
					conn, err := s.MemoryStore.Connection(ctx, id)
					conn.Labels = labels[id]
					return conn, err
				}
			})
		}},
		{"everybody creates it", "Connection/Concurrent", "say that they created it", overriding(func(s *overridden) {
			s.save = func(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
				_, err := s.MemoryStore.SaveConnection(ctx, p)
				return shopifysync.SaveConnectionResult{Created: true}, err
			}
		})},
		{"ignores the context", "Connection/Cancelled", "returned no error though its context", overriding(func(s *overridden) {
			s.save = func(ctx context.Context, p shopifysync.SaveConnectionParams) (shopifysync.SaveConnectionResult, error) {
				return s.MemoryStore.SaveConnection(context.WithoutCancel(ctx), p)
			}
		})},
		{"says that there is none when it was cancelled", "Connection/Cancelled", "says that there is none", overriding(func(s *overridden) {
			s.connection = func(ctx context.Context, id connID) (shopifysync.Connection, error) {
				conn, err := s.MemoryStore.Connection(ctx, id)
				if err != nil {
					err = shopifysync.ErrNotConnected
				}
				return conn, err
			}
		})},
	}
}
