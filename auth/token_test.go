package auth

import (
	"bytes"
	"strings"
	"testing"
)

func TestTokenIsKnownByItsHash(t *testing.T) {
	t.Parallel()
	token, hash, prefix := NewToken()
	if !strings.HasPrefix(token, "crn_") || !strings.HasPrefix(token, prefix) || len(token) < 56 {
		t.Errorf("token %s, prefix %s", token, prefix)
	}
	got, ok := TokenHash(token)
	if !ok || !bytes.Equal(got, hash) {
		t.Errorf("hash of %s is %x, %v", token, got, ok)
	}
	if other, _, _ := NewToken(); other == token {
		t.Error("two tokens are the same")
	}
}

func TestMistypedTokensAreRefusedByTheirChecksum(t *testing.T) {
	t.Parallel()
	token, _, _ := NewToken()
	for i := range token {
		wrong := []byte(token)
		if wrong[i] = 'q'; token[i] == 'q' {
			wrong[i] = 'r'
		}
		if _, ok := TokenHash(string(wrong)); ok {
			t.Errorf("%s passes for %s", wrong, token)
		}
	}
	for _, wrong := range []string{"", "crn_", token + "0", token[:len(token)-1], strings.ToUpper(token), " " + token, "ghp_" + token[4:]} {
		if _, ok := TokenHash(wrong); ok {
			t.Errorf("%q passes", wrong)
		}
	}
}
