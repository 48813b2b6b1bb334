package storetest

import (
	"testing"

	"github.com/omnichat/shopifysync"
)

func TestMemoryStore(t *testing.T) {
	Run(t, func(*testing.T) shopifysync.ContactStore { return shopifysync.NewMemoryStore() },
		Features{State: true, Connections: true, Finder: true, Sharer: true})
}

func TestMemoryStoreState(t *testing.T) {
	RunState(t, func(*testing.T) shopifysync.StateStore { return shopifysync.NewMemoryStore() })
}

func TestStaticConnections(t *testing.T) {
	RunConnections(t, func(*testing.T) shopifysync.ConnectionStore { return shopifysync.StaticConnections() })
}
