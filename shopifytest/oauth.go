package shopifytest

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// tokenLife is how long a token of the client credentials grant lives.
// https://shopify.dev/docs/apps/build/authentication-authorization/client-credentials-grant
const tokenLife = 86399 * time.Second

// serveToken answers POST /admin/oauth/access_token.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, st *Store, entry *logEntry) {
	entry.is(OpToken)
	if s.intervene(w, r, st.fault([]string{OpToken}, false)) {
		return
	}
	s.hold(r, st.Config().Latency)
	form, ok := readForm(w, r)
	if !ok {
		sendOAuthError(w, "invalid_request", "The request is missing a required parameter or is otherwise malformed.")
		return
	}
	cfg := st.Config()
	switch {
	case cfg.State == Frozen:
		sendStatus(w, http.StatusPaymentRequired)
	case cfg.State == Locked:
		sendStatus(w, http.StatusLocked)
	case form["grant_type"] != "client_credentials":
		sendOAuthError(w, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server.")
	case form["client_id"] != cfg.ClientID || form["client_secret"] != cfg.ClientSecret:
		sendOAuthError(w, "invalid_client", "The client credentials are invalid.")
	case cfg.NotPermitted:
		sendOAuthError(w, "shop_not_permitted", "Client credentials cannot be performed on this shop.")
	case cfg.State == Uninstalled:
		sendOAuthError(w, "app_not_installed", "The app is not installed on this shop.")
	default:
		sendJSON(w, http.StatusOK, map[string]any{
			"access_token": st.IssueToken(tokenLife),
			"scope":        strings.Join(cfg.Scopes, ","),
			"expires_in":   int(tokenLife.Seconds()),
		})
	}
}

func readForm(w http.ResponseWriter, r *http.Request) (map[string]string, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		return nil, false
	}
	form := map[string]string{}
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType == "application/json" {
		return form, json.Unmarshal(body, &form) == nil
	}
	values, err := url.ParseQuery(string(body))
	for name := range values {
		form[name] = values.Get(name)
	}
	return form, err == nil
}

func sendOAuthError(w http.ResponseWriter, code, description string) {
	sendJSON(w, http.StatusBadRequest, map[string]string{"error": code, "error_description": description})
}

// IssueToken returns a new access token of this store that lives for d by the
// server's clock.
func (st *Store) IssueToken(d time.Duration) string {
	token := "shpat_" + leftPad(st.server.nextID(), 24)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.tokens[token] = st.server.now().Add(d)
	return token
}

// RevokeTokens ends all 24-hour tokens at once.
func (st *Store) RevokeTokens() {
	st.mu.Lock()
	defer st.mu.Unlock()
	clear(st.tokens)
}

func (st *Store) validToken(token string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if token == "" {
		return false
	}
	if token == st.cfg.AccessToken {
		return true
	}
	end, ok := st.tokens[token]
	return ok && st.server.now().Before(end)
}
