package shopifytest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Request is a request that the server received.
type Request struct {
	Time   time.Time // by the server's clock
	Host   string    // lower case, without a port
	Method string
	Path   string
	Header http.Header
	TLS    bool
	// Operation is the name of the GraphQL operation, or its first field when
	// it has none; OpToken or OpBulkDownload for those; empty for the rest.
	Operation string
	Query     string          // the GraphQL text
	Variables json.RawMessage // as sent
	Cost      int             // points taken from the bucket
}

// Operations that are not GraphQL, for [Server.Count] and [Fault].
const (
	OpToken        = "token"         // a request for an access token
	OpBulkDownload = "bulk download" // a request for the file of a bulk operation
	OpWebhook      = "webhook"       // a delivery that the server makes
)

// maxRequests bounds the memory of the log.
const maxRequests = 20_000

// record logs a request and returns its place in the log.
func (s *Server) record(r *http.Request, host string) *logEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) >= maxRequests {
		s.requests = slices.Clone(s.requests[maxRequests/2:])
		s.dropped += maxRequests / 2
	}
	s.requests = append(s.requests, Request{
		Time: s.clock(), Host: host, Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), TLS: r.TLS != nil,
	})
	return &logEntry{server: s, serial: s.dropped + len(s.requests) - 1}
}

// logEntry is a request in the log.
type logEntry struct {
	server *Server
	serial int
}

func (e *logEntry) update(change func(*Request)) {
	e.server.mu.Lock()
	defer e.server.mu.Unlock()
	if i := e.serial - e.server.dropped; i >= 0 {
		change(&e.server.requests[i])
	}
}

// is counts the request as an operation.
func (e *logEntry) is(operation string) {
	e.update(func(r *Request) { r.Operation = operation })
	e.server.mu.Lock()
	defer e.server.mu.Unlock()
	e.server.counts[operation]++
}

// Requests returns the requests received so far, oldest first. Of a long
// history the oldest ones are forgotten; at least the last 10,000 are there.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many requests for an operation came, by its name.
func (s *Server) Count(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[operation]
}

// Counts returns how many requests came, by the name of their operation.
func (s *Server) Counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}
