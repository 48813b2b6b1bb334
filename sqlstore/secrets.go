package sqlstore

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/omnichat/shopifysync"
)

// An EncryptionKey encrypts secrets. It does not print.
type EncryptionKey struct {
	id   string
	aead cipher.AEAD
}

var keyIDs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// NewEncryptionKey returns an AES-256-GCM key of 32 random bytes. Its id is
// stored beside what it encrypts and never used for another key: 1 to 64 of
// letters, digits, "-" and "_".
func NewEncryptionKey(id string, key []byte) (EncryptionKey, error) {
	if !keyIDs.MatchString(id) {
		return EncryptionKey{}, errors.New(`sqlstore: an encryption key's id must be 1 to 64 of letters, digits, "-" and "_"`)
	}
	if len(key) != 32 {
		return EncryptionKey{}, errors.New("sqlstore: an encryption key must be 32 random bytes: make one by openssl rand 32")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return EncryptionKey{}, fmt.Errorf("sqlstore: encryption key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return EncryptionKey{}, fmt.Errorf("sqlstore: encryption key: %w", err)
	}
	return EncryptionKey{id: id, aead: aead}, nil
}

// Format implements [fmt.Formatter], so that no verb shows the key.
func (k EncryptionKey) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("sqlstore.EncryptionKey{" + k.id + "}"))
}

// A sealed secret is "v1.{key id}.{base64url of nonce and ciphertext}", or
// "plain.{secret}" where that was chosen. The associated data are connection,
// shop and column, so that it opens nowhere but where it was put.
const (
	sealedPrefix = "v1."
	plainPrefix  = "plain."
)

// secretFields are the columns of the three secrets, in the order of sealAll.
var secretFields = [3]string{"access_token", "client_secret", "previous_client_secret"}

func (s *Store) sealAll(id shopifysync.ConnectionID, shop shopifysync.Shop, secrets ...shopifysync.Secret) (sealed [3]string, err error) {
	for i, secret := range secrets {
		switch {
		case secret.IsZero():
		case len(s.config.keys) > 0:
			k := s.config.keys[0]
			box := k.aead.Seal(nil, nil, []byte(secret.Reveal()), associatedData(id, shop, secretFields[i]))
			sealed[i] = sealedPrefix + k.id + "." + base64.RawURLEncoding.EncodeToString(box)
		case !s.config.plaintext:
			return sealed, fmt.Errorf("sqlstore: %w", ErrNoEncryptionKeys)
		case !storable(secret.Reveal()):
			return sealed, fmt.Errorf("sqlstore: %w: a secret %s", shopifysync.ErrInvalidConnection, unstorable)
		default:
			sealed[i] = plainPrefix + secret.Reveal()
		}
	}
	return sealed, nil
}

func (s *Store) openAll(id shopifysync.ConnectionID, shop shopifysync.Shop, sealed [3]string) (secrets [3]shopifysync.Secret, err error) {
	for i := range sealed {
		if secrets[i], err = s.open(sealed[i], associatedData(id, shop, secretFields[i])); err != nil {
			return secrets, ownf("connection %q: %w: %w", id, shopifysync.ErrInvalidConnection, err)
		}
	}
	return secrets, nil
}

func (s *Store) open(sealed string, where []byte) (shopifysync.Secret, error) {
	if sealed == "" {
		return shopifysync.Secret{}, nil
	}
	if plain, ok := strings.CutPrefix(sealed, plainPrefix); ok {
		if !s.config.plaintext {
			return shopifysync.Secret{}, ErrPlaintextSecret
		}
		return shopifysync.NewSecret(plain), nil
	}
	rest, ok := strings.CutPrefix(sealed, sealedPrefix)
	keyID, encoded, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 {
		return shopifysync.Secret{}, ErrSecretDamaged
	}
	box, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return shopifysync.Secret{}, ErrSecretDamaged
	}
	for _, k := range s.config.keys {
		if k.id != keyID {
			continue
		}
		opened, err := k.aead.Open(nil, nil, box, where)
		if err != nil {
			return shopifysync.Secret{}, ErrSecretDamaged
		}
		return shopifysync.NewSecret(string(opened)), nil
	}
	return shopifysync.Secret{}, ErrUnknownKey
}

// newest reports whether all of a row's secrets were encrypted with the newest key.
func (s *Store) newest(sealed [3]string) bool {
	for _, t := range sealed {
		if t != "" && !strings.HasPrefix(t, sealedPrefix+s.config.keys[0].id+".") {
			return false
		}
	}
	return true
}

func associatedData(id shopifysync.ConnectionID, shop shopifysync.Shop, field string) []byte {
	var b []byte
	for _, t := range []string{"shopifysync secret v1", string(id), string(shop), field} {
		b = appendText(b, t)
	}
	return b
}
