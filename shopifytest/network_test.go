package shopifytest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// What net/http needs of a connection.
func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := newPipe("a.example:443")
		big := bytes.Repeat([]byte("x"), 3*pipeSize)
		go func() {
			_, _ = client.Write(big)
			_ = client.Close()
		}()
		synctest.Wait() // the writer waits for a reader
		got, err := io.ReadAll(server)
		if err != nil || !bytes.Equal(got, big) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write to a closed connection: %v", err)
		}

		client, server = newPipe("a.example:443")
		if client.RemoteAddr().String() != "a.example:443" || server.LocalAddr().Network() != "memory" {
			t.Error("addresses")
		}
		began := time.Now()
		check := func(what string, err error) {
			t.Helper()
			var timeout net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%s: %v", what, err)
			}
		}
		_ = client.SetReadDeadline(began.Add(time.Minute))
		_, err = client.Read(make([]byte, 1))
		check("read", err)
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("read waited %v", waited)
		}
		_ = client.SetDeadline(time.Unix(1, 0))
		_, err = client.Read(make([]byte, 1))
		check("read after the deadline", err)
		_, err = client.Write([]byte("x"))
		check("write after the deadline", err)
		_ = client.SetDeadline(time.Time{})
		if _, err := client.Write([]byte("x")); err != nil {
			t.Errorf("without a deadline: %v", err)
		}
		_ = client.SetWriteDeadline(time.Now().Add(time.Second))
		_, err = client.Write(big)
		check("write to a full pipe", err)
		_ = client.Close()
		_ = server.Close()
	})
}

func TestNothingAnswersAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := NewServer()
		client := srv.Client()
		srv.Close()
		srv.Close() // twice is fine
		if _, err := client.Get("https://demo.myshopify.com/"); err == nil {
			t.Error("answered")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := newPipeListener().dial(ctx, "a:443"); !errors.Is(err, context.Canceled) {
			t.Errorf("dial with a cancelled context: %v", err)
		}
	})
}

// Close ends requests that hang, and every goroutine: the bubble would not end
// otherwise.
func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		srv := NewServer(WithWebhookHandler(hang))
		st := srv.AddStore(StoreConfig{Domain: "demo.myshopify.com", AppWebhookURL: "https://host.example/", Latency: time.Hour})
		if err := st.Notify("shop/redact"); err != nil {
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() {
			response, err := srv.Client().Post("https://demo.myshopify.com/admin/oauth/access_token", "application/json", bytes.NewReader([]byte("{}")))
			if err == nil {
				_ = response.Body.Close()
			}
			failed <- err
		}()
		synctest.Wait()
		srv.Close()
		if err := <-failed; err == nil {
			t.Error("answered")
		}
	})
}

func TestCertificatesAreForTheNameThatWasDialled(t *testing.T) {
	srv := NewServer()
	defer srv.Close()
	for _, host := range []string{"a.myshopify.com", "storage.googleapis.com", "anything.example"} {
		response, err := srv.Client().Get("https://" + host + "/")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if names := response.TLS.PeerCertificates[0].DNSNames; len(names) != 1 || names[0] != host {
			t.Errorf("%s: %v", host, names)
		}
	}
}
