package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// loopback takes the host and port of an address such as
// http://127.0.0.1:8080; it refuses anything that is not this machine.
func loopback(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" || u.Port() == "" || u.User != nil || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return "", usageError("-endpoint must be of the form http://127.0.0.1:PORT")
	}
	host := u.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if addr, err := netip.ParseAddr(host); err != nil || !addr.IsLoopback() {
		return "", usageError("-endpoint must be a loopback address, such as http://127.0.0.1:PORT")
	}
	return net.JoinHostPort(host, u.Port()), nil
}

// toEndpoint sends every request to one address in clear text. The request
// keeps the Host that it named, so that a fake Shopify can tell stores and
// files apart.
type toEndpoint string

func (address toEndpoint) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	if sent.Host == "" {
		sent.Host = req.URL.Host
	}
	sent.URL.Scheme = "http"
	sent.URL.Host = string(address)
	return http.DefaultTransport.RoundTrip(sent)
}
