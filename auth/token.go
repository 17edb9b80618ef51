package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"
)

const (
	tokenPrefix = "crn_"
	tokenBytes  = 32
	shownPrefix = 10 // characters of a token that stay known, for recognising it
)

// alphabet is Crockford's base 32 in lower case: no letter looks like a digit,
// and a double click selects all of it.
var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewToken makes an API token, its hash to be stored, and its first characters
// to be shown. The token ends in a checksum, so that a mistyped one and one
// found by a scanner are told apart from noise without asking the database.
func NewToken() (token string, hash []byte, prefix string) {
	secret := make([]byte, tokenBytes, tokenBytes+4)
	rand.Read(secret) // never fails: it ends the program without randomness
	secret = binary.BigEndian.AppendUint32(secret, crc32.ChecksumIEEE(secret))
	token = tokenPrefix + alphabet.EncodeToString(secret)
	return token, hashText(token), token[:shownPrefix]
}

// TokenHash is what the database knows a token by; false if the text cannot be
// a token.
func TokenHash(token string) ([]byte, bool) {
	text, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return nil, false
	}
	secret, err := alphabet.DecodeString(text)
	if err != nil || len(secret) != tokenBytes+4 || alphabet.EncodeToString(secret) != text {
		return nil, false
	}
	if binary.BigEndian.Uint32(secret[tokenBytes:]) != crc32.ChecksumIEEE(secret[:tokenBytes]) {
		return nil, false
	}
	return hashText(token), true
}

func hashText(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// randomText is n random characters of the alphabet, five bits each.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return alphabet.EncodeToString(b)[:n]
}
