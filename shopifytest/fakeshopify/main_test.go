package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	hook := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		hook <- r.Host + r.URL.RequestURI() + " " + r.Header.Get("X-Shopify-Topic")
	}))
	defer receiver.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-customers", "30", "-shop", "test.myshopify.com", "-token", "shpat_x", "-webhooks", receiver.URL, "-versions", "2025-07", "-plan", "plus"}, in, io.Discard)
	}()
	var ready banner
	if err := json.NewDecoder(out).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	if ready.Shop != "test.myshopify.com" || ready.Token != "shpat_x" || ready.Customers != 30 {
		t.Errorf("%+v", ready)
	}

	// The client of another process: whatever the host, it dials the address.
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, ready.Address)
	}}}
	ask := func(method, url, body string) string {
		t.Helper()
		r, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Shopify-Access-Token", "shpat_x")
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const api = "http://test.myshopify.com/admin/api/2024-04/graphql.json"
	if got := ask("POST", api, `{"query": "query Count { customersCount { count } }"}`); !strings.Contains(got, `"count":30`) || !strings.Contains(got, `"maximumAvailable":20000.0`) {
		t.Error(got)
	}

	run := ask("POST", api, `{"query": "mutation { bulkOperationRunQuery(query: \"{ customers { edges { node { id } } } }\") { bulkOperation { id } } }"}`)
	if !strings.Contains(run, "BulkOperation") {
		t.Fatal(run)
	}
	var poll struct {
		Data struct {
			CurrentBulkOperation struct{ URL string }
		}
	}
	if err := json.Unmarshal([]byte(ask("POST", api, `{"query": "{ currentBulkOperation { url } }"}`)), &poll); err != nil {
		t.Fatal(err)
	}
	url := poll.Data.CurrentBulkOperation.URL
	if !strings.HasPrefix(url, "https://storage.googleapis.com/") {
		t.Fatal(url)
	}
	if file := ask("GET", strings.Replace(url, "https:", "http:", 1), ""); strings.Count(file, "\n") != 30 {
		t.Errorf("%.200s", file)
	}

	subscribe := `{"query": "mutation { webhookSubscriptionCreate(topic: CUSTOMERS_UPDATE, webhookSubscription: {callbackUrl: \"https://host.example/hooks/c1?x=1\"}) { userErrors { message } } }"}`
	if got := ask("POST", api, subscribe); !strings.Contains(got, `"userErrors":[]`) {
		t.Error(got)
	}
	ask("POST", "http://test.myshopify.com/_fake/update?count=1", "")
	if got := <-hook; got != "host.example/hooks/c1?x=1 customers/update" {
		t.Error(got)
	}
	if got := ask("GET", "http://test.myshopify.com/_fake/stats", ""); !strings.Contains(got, `"Count":1`) || !strings.Contains(got, `"customers":30`) {
		t.Error(got)
	}
	if got := ask("POST", "http://test.myshopify.com/_fake/update?count=x", ""); !strings.Contains(got, "whole number") {
		t.Error(got)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOnlyLoopback(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "nonsense"} {
		var usage bytes.Buffer
		if err := run(ended, []string{"-addr", address}, io.Discard, &usage); err == nil {
			t.Errorf("%s: no error", address)
		}
	}
}
