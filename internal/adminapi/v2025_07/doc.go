// Package v2025_07 holds the operations that need Admin API 2025-07 or later.
// They are sent only when the version that Shopify served has them.
package v2025_07

//go:generate go -C ../../tools tool genqlient ../adminapi/v2025_07/genqlient.yaml

// MinVersion is the first API version that knows these operations.
const MinVersion = "2025-07"
