package sqlstore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/omnichat/shopifysync"
)

func testKey(t *testing.T, id string, fill byte) EncryptionKey {
	t.Helper()
	k, err := NewEncryptionKey(id, bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSecretOpensOnlyWhereItWasSealed(t *testing.T) {
	s := &Store{config: config{keys: []EncryptionKey{testKey(t, "k1", 1)}}}
	const token = "shpat_0123456789"
	sealed, err := s.sealAll("c1", "a.myshopify.com", shopifysync.NewSecret(token), shopifysync.Secret{}, shopifysync.NewSecret(token))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(sealed[0], token) || sealed[0] == sealed[2] || sealed[1] != "" {
		t.Errorf("sealed: %q", sealed)
	}
	opened, err := s.openAll("c1", "a.myshopify.com", sealed)
	if err != nil || opened[0].Reveal() != token || !opened[1].IsZero() || opened[2].Reveal() != token {
		t.Errorf("the secrets did not come back: %v", err)
	}
	other := &Store{config: config{keys: []EncryptionKey{testKey(t, "k2", 1)}}}
	replaced := &Store{config: config{keys: []EncryptionKey{testKey(t, "k1", 2)}}}
	flipped := []byte(sealed[0])
	flipped[len(flipped)-3] ^= 1
	tests := map[string]struct {
		store *Store
		id    shopifysync.ConnectionID
		shop  shopifysync.Shop
		row   [3]string
		want  error
	}{
		"another connection": {s, "c2", "a.myshopify.com", sealed, ErrSecretDamaged},
		"another shop":       {s, "c1", "b.myshopify.com", sealed, ErrSecretDamaged},
		"another column":     {s, "c1", "a.myshopify.com", [3]string{"", sealed[0], ""}, ErrSecretDamaged},
		"flipped bit":        {s, "c1", "a.myshopify.com", [3]string{string(flipped)}, ErrSecretDamaged},
		"cut short":          {s, "c1", "a.myshopify.com", [3]string{sealed[0][:12]}, ErrSecretDamaged},
		"no base64":          {s, "c1", "a.myshopify.com", [3]string{"v1.k1.***"}, ErrSecretDamaged},
		"no format":          {s, "c1", "a.myshopify.com", [3]string{token}, ErrSecretDamaged},
		"unknown key":        {other, "c1", "a.myshopify.com", sealed, ErrUnknownKey},
		"replaced key":       {replaced, "c1", "a.myshopify.com", sealed, ErrSecretDamaged},
		"plaintext":          {s, "c1", "a.myshopify.com", [3]string{"plain." + token}, ErrPlaintextSecret},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			opened, err := tt.store.openAll(tt.id, tt.shop, tt.row)
			if !errors.Is(err, tt.want) {
				t.Errorf("openAll: %v, want %v", err, tt.want)
			}
			for _, o := range opened {
				if !o.IsZero() {
					t.Error("a secret came out all the same")
				}
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the error quotes the secret: %v", err)
			}
		})
	}
}

func TestSecretsNeedAKeyOrAChoice(t *testing.T) {
	secret := shopifysync.NewSecret("shpat_1")
	if _, err := new(Store).sealAll("c1", "a.myshopify.com", secret); !errors.Is(err, ErrNoEncryptionKeys) {
		t.Errorf("without a key: %v, want ErrNoEncryptionKeys", err)
	}
	plain := &Store{config: config{plaintext: true}}
	sealed, err := plain.sealAll("c1", "a.myshopify.com", secret)
	if err != nil || sealed[0] != "plain.shpat_1" {
		t.Errorf("with WithPlaintextSecrets: %q, %v", sealed[0], err)
	}
}

func TestEncryptionKeyChecks(t *testing.T) {
	key := make([]byte, 32)
	for _, id := range []string{"", "a.b", "a b", strings.Repeat("x", 65)} {
		if _, err := NewEncryptionKey(id, key); err == nil {
			t.Errorf("the id %q was accepted", id)
		}
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewEncryptionKey("k", make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes was accepted", n)
		}
	}
}

func TestEncryptionKeyDoesNotPrint(t *testing.T) {
	k := testKey(t, "k1", 'A')
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, k); got != "sqlstore.EncryptionKey{k1}" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}
