// Package shopifysync copies a Shopify store's customers into a host's
// contacts and keeps them in step.
//
// A [Syncer] reads customers through Shopify's GraphQL Admin API, maps each to
// a [Contact] with typed attributes, and hands them in batches to a
// [ContactStore] that the host supplies. [Syncer.Sync] is a full run: it reads
// the whole store, proves that it saw everything, and removes what is gone.
// Webhooks mark customers as changed ([Syncer.WebhookHandler]), drains fetch
// them ([Syncer.Drain]), catch-ups list what webhooks missed
// ([Syncer.CatchUp]), and [Syncer.Serve] does all of it by itself.
//
//	store := shopifysync.NewMemoryStore()
//	conns := shopifysync.StaticConnections(shopifysync.Connection{
//		ID:   "tenant-1",
//		Shop: "my-shop.myshopify.com",
//		Credentials: shopifysync.Credentials{
//			AccessToken: shopifysync.NewSecret(os.Getenv("SHOPIFY_ACCESS_TOKEN")),
//		},
//	})
//	syncer, err := shopifysync.New(store, conns)
//	// ...
//	report, err := syncer.Sync(ctx, shopifysync.SyncParams{Connection: "tenant-1"})
//
// [Syncer.Connect], [Syncer.Check], [Syncer.Status] and [Syncer.Disconnect] are
// what a settings page needs, [Syncer.Member] what a chat does, and
// [Syncer.Export] and [Syncer.Erase] what the law asks for.
//
// # What never breaks
//
// An older observation never overwrites a newer one ([Apply]); what Shopify
// did not send never clears a value ([FieldSet]); a run that did not see every
// row is never complete ([ErrIncomplete]) and removes nobody; a contact is
// removed only after Shopify confirmed by id that the customer is gone; a
// webhook is acknowledged only once its mark is durable, and is a hint, never
// the truth; a redacted person never returns; and tokens and personal data stay
// out of errors and logs.
//
// # Words
//
// A customer is what Shopify has, a contact what the host keeps. A connection
// is one store connected by one tenant; everything is keyed by its
// [ConnectionID], never by the shop, so two tenants may connect one store.
package shopifysync
