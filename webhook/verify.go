package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
)

// Headers that the senders with a style of their own use.
const (
	gitHubSignature = "X-Hub-Signature-256"
	gitHubDelivery  = "X-Github-Delivery"
	gitHubEvent     = "X-Github-Event"
	stripeSignature = "Stripe-Signature"
	slackSignature  = "X-Slack-Signature"
	slackTimestamp  = "X-Slack-Request-Timestamp"
)

// foreverRemembered is how long the signature of a request without a signed time
// is remembered: as long as its delivery is kept.
const foreverRemembered = 14 * 24 * time.Hour

// Refusal is why a request was not verified. It is for the page of the webhook,
// not for the sender, who might be guessing.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Proof is what a verified request showed.
type Proof struct {
	// Signature is what a repetition of the request has as well; nil where nothing
	// tells one from an equal request that was meant.
	Signature []byte
	// Remember is how long the signature counts, so that a repetition later than
	// that is refused by its age.
	Remember time.Duration
}

// Verify checks that a request was made by who knows one of the secrets, of
// which there is one or, while one is replaced, two. The error is a Refusal.
func Verify(w *cronium.Webhook, secrets [][]byte, header http.Header, body []byte, now time.Time) (Proof, error) {
	switch w.Style {
	case cronium.WebhookKey:
		return Proof{}, verifyKey(w, secrets, header)
	case cronium.WebhookGitHub:
		mac, err := signature(header, gitHubSignature)
		if err != nil {
			return Proof{}, err
		}
		return check(secrets, [][]byte{mac}, foreverRemembered, body)
	case cronium.WebhookStripe:
		return verifyStripe(w, secrets, header, body, now)
	case cronium.WebhookSlack:
		return verifyTimed(w, secrets, header, slackSignature, slackTimestamp, "v0:%:", body, now)
	}
	if w.TimestampHeader != "" {
		return verifyTimed(w, secrets, header, w.Header, w.TimestampHeader, "%.", body, now)
	}
	mac, err := signature(header, w.Header)
	if err != nil {
		return Proof{}, err
	}
	proof, err := check(secrets, [][]byte{mac}, 0, body)
	proof.Signature = nil // equal bodies may be meant
	return proof, err
}

func verifyKey(w *cronium.Webhook, secrets [][]byte, header http.Header) error {
	key, err := one(header, w.Header)
	if err != nil {
		return err
	}
	if strings.EqualFold(w.Header, "Authorization") {
		key = strings.TrimPrefix(key, "Bearer ")
	}
	given, same := sha256.Sum256([]byte(key)), 0
	for _, secret := range secrets { // all of them, so that none can be told from its time
		want := sha256.Sum256(secret)
		same |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	if same != 1 {
		return Refusal("the key in " + w.Header + " is another one")
	}
	return nil
}

// verifyTimed checks a signature over a prefix with the time, for which % stands,
// and the body.
func verifyTimed(w *cronium.Webhook, secrets [][]byte, header http.Header, signed, timed, prefix string, body []byte, now time.Time) (Proof, error) {
	stamp, err := one(header, timed)
	if err != nil {
		return Proof{}, err
	}
	mac, err := signature(header, signed)
	if err != nil {
		return Proof{}, err
	}
	proof, err := check(secrets, [][]byte{mac}, window(w), []byte(strings.Replace(prefix, "%", stamp, 1)), body)
	if err != nil {
		return Proof{}, err
	}
	return proof, inTime(w, stamp, now)
}

// verifyStripe reads "t=1492774577,v1=5257a8…,v1=…".
func verifyStripe(w *cronium.Webhook, secrets [][]byte, header http.Header, body []byte, now time.Time) (Proof, error) {
	value, err := one(header, stripeSignature)
	if err != nil {
		return Proof{}, err
	}
	var stamp string
	var macs [][]byte
	for part := range strings.SplitSeq(value, ",") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if stamp != "" {
				return Proof{}, Refusal(stripeSignature + " has more than one time")
			}
			stamp = text
		case "v1":
			if mac, err := hex.DecodeString(text); err == nil && len(macs) < 8 {
				macs = append(macs, mac)
			}
		}
	}
	if stamp == "" || len(macs) == 0 {
		return Proof{}, Refusal(stripeSignature + " has no t=… and v1=…")
	}
	proof, err := check(secrets, macs, window(w), []byte(stamp+"."), body)
	if err != nil {
		return Proof{}, err
	}
	return proof, inTime(w, stamp, now)
}

// window is how long a signed request may come again: its time may be as far
// ahead as it may be old.
func window(w *cronium.Webhook) time.Duration {
	return 2*time.Duration(w.WindowSeconds)*time.Second + time.Minute
}

// inTime checks the age of a signed time, in seconds since 1970.
func inTime(w *cronium.Webhook, stamp string, now time.Time) error {
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 || strconv.FormatInt(seconds, 10) != stamp {
		return Refusal("its time is not a number of seconds since 1970")
	}
	allowed := time.Duration(w.WindowSeconds) * time.Second
	switch age := now.Sub(time.Unix(seconds, 0)); {
	case age > allowed:
		return Refusal("it was signed " + age.Round(time.Second).String() + " ago, and " + allowed.String() + " is allowed; or a clock is wrong")
	case age < -allowed:
		return Refusal("it was signed " + (-age).Round(time.Second).String() + " ahead of this server's clock, and " + allowed.String() + " is allowed")
	}
	return nil
}

// check tells whether one of the macs is that of the parts under one of the
// secrets.
func check(secrets, macs [][]byte, remember time.Duration, parts ...[]byte) (Proof, error) {
	var proof Proof
	for _, secret := range secrets {
		h := hmac.New(sha256.New, secret)
		for _, part := range parts {
			h.Write(part)
		}
		sum := h.Sum(nil)
		for _, mac := range macs {
			if hmac.Equal(mac, sum) {
				proof = Proof{Signature: sum, Remember: remember}
			}
		}
	}
	if proof.Signature == nil {
		return Proof{}, Refusal("the signature is not that of this body with the secret of this webhook")
	}
	return proof, nil
}

// signature reads a mac as hex or base64, with or without "sha256=", "v0=" or
// "v1=" before it.
func signature(header http.Header, name string) ([]byte, error) {
	value, err := one(header, name)
	if err != nil {
		return nil, err
	}
	for _, prefix := range []string{"sha256=", "v0=", "v1="} {
		if rest, ok := strings.CutPrefix(value, prefix); ok {
			value = rest
			break
		}
	}
	if mac, err := hex.DecodeString(value); err == nil && len(mac) == sha256.Size {
		return mac, nil
	}
	if mac, err := base64.StdEncoding.DecodeString(value); err == nil && len(mac) == sha256.Size {
		return mac, nil
	}
	return nil, Refusal(name + " is not an HMAC-SHA256 in hex or base64")
}

// one is the value of a header that has to be there once.
func one(header http.Header, name string) (string, error) {
	values := header.Values(name)
	switch {
	case len(values) == 0 || values[0] == "":
		return "", Refusal("the header " + name + " is missing")
	case len(values) > 1:
		return "", Refusal("the header " + name + " is there more than once")
	}
	return values[0], nil
}
