// Package shopify sends GraphQL operations to one store's Admin API: it
// implements genqlient's [graphql.Client] and adds what Shopify asks of its
// clients, that is the access token, the cost budget, retries, errors with a
// kind, and the exchange of client credentials for a token.
//
// [graphql.Client]: https://pkg.go.dev/github.com/Khan/genqlient/graphql#Client
package shopify
