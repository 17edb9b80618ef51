package tunnel

import "crypto/ed25519"

// renewDomain keeps a signature made for something else from being one of a key.
const renewDomain = "cronium agent key v1\n"

func renewal(target string, next ed25519.PublicKey) []byte {
	return append([]byte(renewDomain+target+"\n"), next...)
}

// SignNextKey has an agent's present key vouch for its next one.
func SignNextKey(key ed25519.PrivateKey, target string, next ed25519.PublicKey) []byte {
	return ed25519.Sign(key, renewal(target, next))
}

// VerifyNextKey tells whether the present key of the target's agent vouches for
// the next one.
func VerifyNextKey(key ed25519.PublicKey, target string, next ed25519.PublicKey, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && len(next) == ed25519.PublicKeySize &&
		ed25519.Verify(key, renewal(target, next), signature)
}
