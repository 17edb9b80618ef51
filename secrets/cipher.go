package secrets

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
)

// keySize is that of AES-256.
const keySize = 32

// format is the first byte of all that is sealed: AES-256-GCM with a nonce of 12
// bytes before the ciphertext.
const format = 1

// errDamaged is all that is told of bytes that do not open: with a wrong key, a
// wrong place, or altered.
var errDamaged = errors.New("it was altered, or belongs elsewhere")

// Wipe overwrites a plain value after its use.
func Wipe(b []byte) {
	clear(b)
	runtime.KeepAlive(&b)
}

// seal encrypts plain for the place that bound names.
func seal(key, plain, bound []byte) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, 1+gcm.NonceSize(), 1+gcm.NonceSize()+len(plain)+gcm.Overhead())
	sealed[0] = format
	nonce := sealed[1:]
	rand.Read(nonce)
	return gcm.Seal(sealed, nonce, plain, bound), nil
}

// open decrypts what seal made for the same place.
func open(key, sealed, bound []byte) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < 1+gcm.NonceSize()+gcm.Overhead() {
		return nil, errDamaged
	}
	if sealed[0] != format {
		return nil, fmt.Errorf("it is of format %d, which this program does not know", sealed[0])
	}
	plain, err := gcm.Open(nil, sealed[1:1+gcm.NonceSize()], sealed[1+gcm.NonceSize():], bound)
	if err != nil {
		return nil, errDamaged
	}
	return plain, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("a key has %d bytes, not %d", keySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
