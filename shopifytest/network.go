package shopifytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// network is an internet inside the process: whatever host is dialled, the
// server answers, over TLS on port 443 and in plain text on any other port.
// It has no sockets, so it works inside a testing/synctest bubble.
type network struct {
	secure, plain *pipeListener
	authority     *authority
}

func newNetwork() *network {
	return &network{secure: newPipeListener(), plain: newPipeListener(), authority: newAuthority()}
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if port == "443" {
		return n.secure.dial(ctx, address)
	}
	return n.plain.dial(ctx, address)
}

func (n *network) transport() *http.Transport {
	return &http.Transport{
		DialContext:         n.dial,
		TLSClientConfig:     &tls.Config{RootCAs: n.authority.pool, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
	}
}

func (n *network) close() {
	_ = n.secure.Close()
	_ = n.plain.Close()
}

// authority issues a certificate for every name that is asked for.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool

	mu     sync.Mutex
	issued map[string]*tls.Certificate
}

// Certificates are valid from before 2000, where the clock of a synctest
// bubble starts.
var (
	validFrom = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	validTo   = time.Date(2190, 1, 1, 0, 0, 0, 0, time.UTC)
)

func newAuthority() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // never: crypto/rand does not fail
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "shopifytest"},
		NotBefore:             validFrom,
		NotAfter:              validTo,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err) // never: the template is constant
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err) // never: it was made above
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{cert: cert, key: key, pool: pool, issued: map[string]*tls.Certificate{}}
}

func (a *authority) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return a.certificate(hello.ServerName)
		},
	}
}

func (a *authority) certificate(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cert := a.issued[name]; cert != nil {
		return cert, nil
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(a.issued) + 2)),
		Subject:      pkix.Name{CommonName: "shopifytest"},
		DNSNames:     []string{name},
		NotBefore:    validFrom,
		NotAfter:     validTo,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name == "" { // an address instead of a name
		template.DNSNames = nil
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
	a.issued[name] = cert
	return cert, nil
}
