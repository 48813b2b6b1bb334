// Package shopifytest is a fake Shopify for tests: strict where Shopify is
// strict, and wrong where Shopify goes wrong.
//
// A [Server] answers for any number of stores, over real TLS, inside the
// process:
//
//	srv := shopifytest.NewServer()
//	defer srv.Close()
//	store := srv.AddStore(shopifytest.StoreConfig{Domain: "demo.myshopify.com"})
//	store.Generate(10_000, 1)
//	ann := store.Create(shopifytest.Customer{FirstName: "Ann", Email: "ann@example.com"})
//
//	client := srv.Client() // whatever https host it dials, srv answers
//	// POST https://demo.myshopify.com/admin/api/2024-04/graphql.json
//	// X-Shopify-Access-Token: shpat_test
//
//	store.Update(ann.ID, func(c *shopifytest.Customer) { c.Note = "moved" })
//	store.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 2, Status: 502})
//	srv.Requests() // what came, to which host, with which headers
//
// There are no sockets, so all of it works in a testing/synctest bubble, where
// hours of throttling, bulk operations and webhook retries pass at once. Make
// the server in the bubble and close it there. [Server.Handler] serves other
// processes; the command fakeshopify does so.
//
// # What it does
//
// The Admin API in GraphQL, for the part of the schema that this module uses:
// pages of customers, node and nodes, counts, the shop, the app's scopes, bulk
// operations with their files, webhook subscriptions. Queries are validated
// against the schema of the version that is served; mistakes are refused with
// Shopify's codes. Points are counted by [CostModel] and taken from the
// store's bucket. Tokens come from the client credentials grant too.
//
// Customers are generated on demand from a seed, so a store of a million needs
// no memory until they change. [Store.Create], [Store.Update] and so on change
// them, and send webhooks to whoever subscribed if the server was given a
// receiver by [WithWebhookHandler] or [WithWebhookClient].
//
// [Store.Configure] changes everything about a store while it runs: its state,
// tokens, scopes, versions, access to protected data, latency, the lag of the
// search index and of reads by id. [Store.Inject] breaks single requests, and
// loses, delays, doubles and shuffles webhooks.
//
// # Versions
//
// [StoreConfig.APIVersions] are the versions that a store serves, any of
// [Versions]. Fields, topics and payloads are those of the served one:
// customersCount from 2025-07 on, tags in the payloads before 2025-01 only, the
// WhatsApp consent from 2026-07 on.
//
// # Testing a receiver of webhooks
//
// [Store.Delivery] and [Store.DeliveryOf] return single signed requests for a
// handler, of every topic in every version's shape; [Sign] signs bodies of your
// own. To test handler and Admin API together, give the handler to
// [WithWebhookHandler], subscribe as an app does, and change customers.
//
// Deliveries are Shopify's: a receiver has five seconds and is tried nine times
// in four hours with the body of the first time; a subscription that takes
// nothing for so long is deleted; one that chose its fields is not told the
// same twice within five seconds ([StoreConfig.NoDebounce]). What the app's own
// configuration subscribes to, the privacy topics among it, goes to
// [StoreConfig.AppWebhookURL].
//
// # What it does not do
//
// Search queries know id, updated_at and customer_date, joined by spaces or
// AND; other terms are ignored with a warning, as Shopify does with unknown
// ones. Introspection, orders, products and every other part of Shopify are
// absent.
package shopifytest
