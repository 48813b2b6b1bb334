package shopifysync_test

import (
	"context"
	"fmt"
	"log"

	"github.com/omnichat/shopifysync"
)

func ExampleSyncer_Serve() {
	server, _, conn := demo()
	defer server.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	store := shopifysync.NewMemoryStore() // a host's own, or sqlstore's, outlives the process
	syncer, err := shopifysync.New(store, shopifysync.StaticConnections(conn),
		shopifysync.WithHTTPClient(server.Client()),
		shopifysync.WithHooks(shopifysync.Hooks{
			SyncEnd: func(_ context.Context, info shopifysync.SyncEndInfo) {
				fmt.Println("synced", info.Report.Seen, "customers")
				stop() // a host stops when its process does
			},
		}))
	if err != nil {
		log.Fatal(err)
	}
	// Beside it the host's HTTP server has syncer.WebhookHandler().
	if err := syncer.Serve(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("stopped")
	// Output:
	// synced 3 customers
	// stopped
}
