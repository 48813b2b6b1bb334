package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/omnichat/shopifysync"
	"github.com/omnichat/shopifysync/internal/adminapi"
	"github.com/omnichat/shopifysync/shopifytest"
)

const (
	connectionID = "bench"
	domain       = "bench.myshopify.com"
	token        = "shpat_bench"
	fileHost     = "storage.googleapis.com"
)

// openShop opens a store whose bulk operations are done at once.
func openShop(server *shopifytest.Server, customers int) *shopifytest.Store {
	store := server.AddStore(shopifytest.StoreConfig{
		Domain: domain, AccessToken: token, BulkSpeed: shopifytest.Unlimited,
	})
	store.Generate(customers, 1)
	return store
}

// slowPages holds up the pages of the next run behind the first one, until the
// run asks after its bulk operation: nearly all customers then come by the
// file, as they do in a great store.
func slowPages(store *shopifytest.Store) {
	store.ClearFaults()
	store.Inject(shopifytest.Fault{Operation: "CustomersPage", After: 1, Delay: 600 * time.Millisecond})
}

func connection() shopifysync.Connection {
	return shopifysync.Connection{
		ID: connectionID, Shop: domain,
		Credentials: shopifysync.Credentials{AccessToken: shopifysync.NewSecret(token)},
	}
}

// A world is a fake store in this process, with its bulk file on disk: the
// fake makes each line anew for every reader, which would be measured too.
type world struct {
	server *shopifytest.Server
	store  *shopifytest.Store
	dir    string
	file   string
}

// inWorld runs f with a new store and its bulk file.
func inWorld(ctx context.Context, f func(*world) error) (err error) {
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server := shopifytest.NewServer()
	defer server.Close()
	w := &world{server: server, store: openShop(server, *customers), dir: dir, file: filepath.Join(dir, "bulk.jsonl")}
	if err := w.writeFile(ctx); err != nil {
		return err
	}
	return f(w)
}

// client reaches the fake store, and takes bulk files from the disk.
func (w *world) client() *http.Client {
	return &http.Client{Transport: diskFile{w.file, w.server.Client().Transport}}
}

// diskFile answers for the host of bulk files.
type diskFile struct {
	name string
	rest http.RoundTripper
}

func (d diskFile) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != fileHost {
		return d.rest.RoundTrip(req)
	}
	f, err := os.Open(d.name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/jsonl"}, "Content-Length": {strconv.FormatInt(info.Size(), 10)}},
		ContentLength: info.Size(), Body: f, Request: req,
	}, nil
}

// writeFile puts the file of a bulk operation on disk, as the store is now. A
// run checks that it has the size that its own operation has.
func (w *world) writeFile(ctx context.Context) error {
	client := w.server.Client()
	var started struct {
		BulkOperationRunQuery struct{ BulkOperation struct{ ID string } }
	}
	if err := ask(ctx, client, adminapi.RunBulkQuery_Operation, map[string]any{"query": adminapi.BulkCustomers_Operation}, &started); err != nil {
		return err
	}
	var polled struct{ Node struct{ URL string } }
	if err := ask(ctx, client, adminapi.PollBulkOperation_Operation, map[string]any{"id": started.BulkOperationRunQuery.BulkOperation.ID}, &polled); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, polled.Node.URL, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(w.file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

// ask runs one operation on the fake Admin API.
func ask(ctx context.Context, client *http.Client, query string, variables map[string]any, data any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	url := "https://" + domain + "/admin/api/" + shopifysync.DefaultAPIVersion + "/graphql.json"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Shopify-Access-Token", token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Data   any
		Errors any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Errors != nil {
		return fmt.Errorf("the fake Shopify answered with errors: %v", answer.Errors)
	}
	return nil
}

// changeOneInAHundred tags every hundredth customer, and returns how many
// that are.
func (w *world) changeOneInAHundred() (int64, error) {
	var ids []int64
	i := 0
	for c := range w.store.All() {
		if i++; i%100 == 0 {
			ids = append(ids, c.ID)
		}
	}
	for _, id := range ids {
		err := w.store.Update(id, func(c *shopifytest.Customer) {
			c.Tags = append(slices.Clone(c.Tags), "bench-"+c.UpdatedAt.Format("150405"))
		})
		if err != nil {
			return 0, err
		}
	}
	return int64(len(ids)), nil
}
