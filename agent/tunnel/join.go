package tunnel

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

const (
	codePrefix  = "crj_"
	secretBytes = 16
	codeBytes   = secretBytes + ed25519.PublicKeySize + 4
)

// alphabet is Crockford's base 32 in lower case: no letter looks like a digit,
// and a double click selects all of it.
var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Code is what a person carries from the server to a machine: a secret by which
// the server knows that the machine may join, and the server's key, by which the
// machine knows the server from the first moment.
type Code struct {
	Secret [secretBytes]byte
	Server ed25519.PublicKey
}

// NewCode makes a code of a server.
func NewCode(server ed25519.PublicKey) Code {
	c := Code{Server: server}
	rand.Read(c.Secret[:]) // never fails: it ends the program without randomness
	return c
}

// Hash is what the server keeps of a code.
func (c Code) Hash() []byte {
	sum := sha256.Sum256(c.Secret[:])
	return sum[:]
}

// String is one word, which ends in a checksum.
func (c Code) String() string {
	raw := append(append(make([]byte, 0, codeBytes), c.Secret[:]...), c.Server...)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return codePrefix + alphabet.EncodeToString(raw)
}

// ParseCode reads a code. Its error does not repeat what was given.
func ParseCode(text string) (Code, error) {
	word, ok := strings.CutPrefix(strings.TrimSpace(text), codePrefix)
	raw, err := alphabet.DecodeString(strings.ToLower(word))
	if !ok || err != nil || len(raw) != codeBytes {
		return Code{}, fmt.Errorf("the code is not complete: it begins with %s and has %d characters", codePrefix, len(codePrefix)+alphabet.EncodedLen(codeBytes))
	}
	body := raw[:codeBytes-4]
	if binary.BigEndian.Uint32(raw[codeBytes-4:]) != crc32.ChecksumIEEE(body) || alphabet.EncodeToString(raw) != strings.ToLower(word) {
		return Code{}, errors.New("the code has a wrong character in it; copy it again")
	}
	c := Code{Server: ed25519.PublicKey(body[secretBytes:])}
	copy(c.Secret[:], body)
	return c, nil
}

// JoinQuestion is what a machine sends to join. Its key is the one of the tunnel.
type JoinQuestion struct {
	Secret   []byte `json:"secret"`
	Hostname string `json:"hostname"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Version  string `json:"version"`
}

// JoinAnswer is what it gets. Error is for a person, and empty when it is in.
type JoinAnswer struct {
	Target string `json:"target,omitempty"` // what manifests for it will name
	Name   string `json:"name,omitempty"`   // of the server that it is now
	Error  string `json:"error,omitempty"`
	Again  int    `json:"again,omitempty"` // seconds after which to try again; 0: never
}

// maxMessage bounds a question and an answer, in bytes.
const maxMessage = 8 << 10

// WriteMessage sends a question or an answer.
func WriteMessage(w io.Writer, message any) error {
	raw, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...))
	return err
}

// ReadMessage receives one.
func ReadMessage(r io.Reader, message any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxMessage {
		return fmt.Errorf("receive: a message of %d bytes, at most %d are allowed", size, maxMessage)
	}
	raw := make([]byte, size)
	if _, err := io.ReadFull(r, raw); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if err := json.Unmarshal(raw, message); err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	return nil
}
