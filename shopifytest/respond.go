package shopifytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// sendErrors answers as Shopify does before GraphQL is reached: "errors" is a
// text, not a list.
func sendErrors(w http.ResponseWriter, status int, text string) {
	sendJSON(w, status, map[string]string{"errors": text})
}

func sendJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(mustMarshal(body))
}

// mustMarshal is for values of this package, which JSON can hold.
func mustMarshal(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("shopifytest: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func sendHTML(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>%[1]s</title></head>\n<body><h1>%[1]s</h1></body>\n</html>\n", title)
}

// sendStatus answers with what Shopify says beside a status.
func sendStatus(w http.ResponseWriter, status int) {
	switch status {
	case http.StatusUnauthorized:
		sendErrors(w, status, "[API] Invalid API key or access token (unrecognized login or wrong password)")
	case http.StatusPaymentRequired:
		sendErrors(w, status, "Unavailable Shop")
	case http.StatusForbidden:
		sendErrors(w, status, "[API] This action requires merchant approval for read_customers scope.")
	case http.StatusNotFound:
		sendErrors(w, status, "Not Found")
	case http.StatusLocked:
		sendErrors(w, status, "This shop is unavailable")
	case http.StatusTooManyRequests:
		if w.Header().Get("Retry-After") == "" {
			w.Header().Set("Retry-After", "2.0")
		}
		sendErrors(w, status, "Throttled")
	case 430:
		sendHTML(w, status, "Shopify Security Rejection")
	default:
		title := http.StatusText(status)
		if title == "" {
			title = "Error " + strconv.Itoa(status)
		}
		if status >= 500 {
			sendHTML(w, status, title)
		} else {
			sendErrors(w, status, title)
		}
	}
}

func leftPad(n int64, width int) string {
	s := strconv.FormatInt(n, 10)
	for len(s) < width {
		s = "0" + s
	}
	return s[len(s)-width:]
}
