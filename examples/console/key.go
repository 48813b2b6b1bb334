package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/omnichat/shopifysync/sqlstore"
)

// encryptionKey reads the key that encrypts connections' secrets, and makes it
// at the first start. A service of your own keeps it in its secret manager.
func encryptionKey(file string) (sqlstore.EncryptionKey, error) {
	key, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		key, err = makeKey(file)
	}
	if err != nil {
		return sqlstore.EncryptionKey{}, fmt.Errorf("the encryption key: %w", err)
	}
	return sqlstore.NewEncryptionKey("console-1", key)
}

// makeKey writes a new key whole or not at all: half a key would lock out
// everything that is encrypted with it later.
func makeKey(file string) ([]byte, error) {
	key := make([]byte, 32)
	rand.Read(key)                                           // never fails
	temp, err := os.CreateTemp(filepath.Dir(file), ".key-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(key)
	if err == nil {
		err = temp.Sync()
	}
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	// A link, unlike a rename, does not replace the key that another process made meanwhile.
	switch err := os.Link(temp.Name(), file); {
	case errors.Is(err, os.ErrExist):
		return os.ReadFile(file)
	case err != nil:
		return nil, err
	}
	return key, nil
}
