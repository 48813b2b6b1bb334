// Package v2026_07 holds the operations that need Admin API 2026-07 or later:
// those of package adminapi that read customers, with the WhatsApp marketing
// consent beside each. They are sent only when the version that Shopify served
// has them.
package v2026_07

//go:generate go -C ../../tools tool genqlient ../adminapi/v2026_07/genqlient.yaml

// MinVersion is the first API version that knows these operations.
const MinVersion = "2026-07"
