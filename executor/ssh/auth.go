package ssh

import (
	"errors"
	"slices"

	"golang.org/x/crypto/ssh"
)

// auth is how this side signs in, and what the machine says to that.
type auth struct {
	methods []ssh.AuthMethod
	takes   []string // what the machine offered last
	tried   []string
}

// newAuth makes methods of what the connection has. Keys come first; a machine
// may ask for both.
func newAuth(c *Connection) (*auth, error) {
	a := &auth{}
	if len(c.PrivateKey) > 0 {
		signer, err := Signer(c.PrivateKey, c.Passphrase)
		if err != nil {
			return nil, failed(c, StepAuthenticate, err, err.Error())
		}
		a.methods = append(a.methods, ssh.PublicKeys(signer))
	}
	if len(c.Password) > 0 {
		password := string(c.Password) // the library wants a string; it cannot be wiped
		a.methods = append(a.methods, ssh.Password(password), ssh.KeyboardInteractive(answer(password)))
	}
	return a, nil
}

// offered notes what the machine takes; the library chooses.
func (a *auth) offered(ctx *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	a.takes = slices.Clone(ctx.AllowedMethods)
	a.tried = slices.Clone(ctx.TriedMethods)
	return nil, nil
}

// answer gives the password to the one question that is not echoed, and nothing
// to any other.
func answer(password string) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		answers := make([]string, len(questions))
		asked := 0
		for i := range questions {
			if !echos[i] {
				answers[i] = password
				asked++
			}
		}
		if asked > 1 {
			return nil, errors.New("it asks for more than a password")
		}
		return answers, nil
	}
}

// Signer reads a private key. Its errors are *cronium.Error with a text for
// whoever pasted the key. RSA keys sign with SHA-2 alone.
func Signer(private, passphrase []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(private)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) && len(passphrase) > 0 {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(private, passphrase)
	}
	if err != nil {
		return nil, keyFailure(err)
	}
	if signer.PublicKey().Type() != ssh.KeyAlgoRSA {
		return signer, nil
	}
	several, ok := signer.(ssh.AlgorithmSigner)
	if !ok {
		return nil, keyFailure(errors.New("this kind of RSA key cannot sign with SHA-2"))
	}
	signer, err = ssh.NewSignerWithAlgorithms(several, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
	if err != nil {
		return nil, keyFailure(err)
	}
	return signer, nil
}
