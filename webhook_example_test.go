package shopifysync_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/omnichat/shopifysync"
)

// A delivery is verified with the app's API secret key, and with the previous
// one while it is being rotated.
func ExampleParseWebhook() {
	secret, previous := shopifysync.NewSecret("hush"), shopifysync.NewSecret("hush-before")

	header := http.Header{}
	header.Set("X-Shopify-Topic", "customers/update")
	header.Set("X-Shopify-Hmac-Sha256", "e8zQRHx3WLgvWBzGvE/lyNoIzW8rFtbyxgdtG91gY04=")
	body := `{"id":706405506930370084,"updated_at":"2021-12-31T19:00:00-05:00"}`

	ev, err := shopifysync.ParseWebhook(header, []byte(body), secret, previous)
	fmt.Println(ev.Topic, ev.Customers, ev.UpdatedAt, err)

	forged := strings.Replace(body, "7064", "7065", 1)
	_, err = shopifysync.ParseWebhook(header, []byte(forged), secret, previous)
	fmt.Println(errors.Is(err, shopifysync.ErrInvalidSignature))
	// Output:
	// customers/update [706405506930370084] 2022-01-01 00:00:00 +0000 UTC <nil>
	// true
}
