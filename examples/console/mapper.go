package main

import (
	"fmt"
	"slices"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/examples/phone"
)

// skipTag is the tag by which a merchant leaves a customer out.
const skipTag = "no-sync"

// mapper is the library's own with one rule of this host's before it.
func mapper() shopifysync.Mapper {
	standard := shopifysync.NewMapper(shopifysync.MapperOptions{Phone: phone.Normalize})
	return func(id shopifysync.ConnectionID, c shopifysync.Customer) (shopifysync.Contact, error) {
		if slices.Contains(c.Tags, skipTag) {
			return shopifysync.Contact{}, fmt.Errorf("tagged %s: %w", skipTag, shopifysync.ErrSkip)
		}
		return standard(id, c)
	}
}
