package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/webhook"
)

var (
	now    = time.Unix(1_790_000_000, 0)
	secret = []byte("whs_a long enough secret")
	body   = []byte(`{"customer": 7}`)
)

func sign(key []byte, parts ...string) string {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func stamp(age time.Duration) string { return strconv.FormatInt(now.Add(-age).Unix(), 10) }

// styled is a webhook of a style and the headers of a request that is right for
// it, signed with a key at a time ago.
func styled(style cronium.WebhookStyle, key []byte, age time.Duration) (*cronium.Webhook, http.Header) {
	w := cronium.NewWebhook()
	w.Style, w.Header, w.TimestampHeader = style, "", ""
	header := http.Header{}
	switch at := stamp(age); style {
	case cronium.WebhookHMAC:
		w.Header, w.TimestampHeader = "X-Signed", "X-Time"
		header.Set("X-Time", at)
		header.Set("X-Signed", "sha256="+sign(key, at, ".", string(body)))
	case cronium.WebhookGitHub:
		header.Set("X-Hub-Signature-256", "sha256="+sign(key, string(body)))
	case cronium.WebhookStripe:
		header.Set("Stripe-Signature", "t="+at+",v1="+sign(key, at, ".", string(body))+",v0=00")
	case cronium.WebhookSlack:
		header.Set("X-Slack-Request-Timestamp", at)
		header.Set("X-Slack-Signature", "v0="+sign(key, "v0:", at, ":", string(body)))
	case cronium.WebhookKey:
		w.Header = "X-Key"
		header.Set("X-Key", string(key))
	}
	return &w, header
}

func TestEachStyleTakesTheRightSecretAlone(t *testing.T) {
	t.Parallel()
	other := []byte("another secret")
	for _, style := range cronium.WebhookStyles {
		w, header := styled(style, secret, 0)
		if _, err := webhook.Verify(w, [][]byte{secret}, header, body, now); err != nil {
			t.Errorf("%s: %v", style, err)
		}
		if _, err := webhook.Verify(w, [][]byte{other, secret}, header, body, now); err != nil {
			t.Errorf("%s with the secret of before: %v", style, err)
		}
		refused := func(what string, header http.Header, body []byte) {
			t.Helper()
			proof, err := webhook.Verify(w, [][]byte{secret}, header, body, now)
			if _, ok := errors.AsType[webhook.Refusal](err); !ok || proof.Signature != nil {
				t.Errorf("%s, %s: %v", style, what, err)
			}
			if err != nil && strings.Contains(err.Error(), string(secret)) {
				t.Errorf("%s, %s: the refusal has the secret", style, what)
			}
		}
		_, wrong := styled(style, other, 0)
		refused("signed by another", wrong, body)
		refused("nothing", http.Header{}, body)
		if style != cronium.WebhookKey {
			refused("another body", header, []byte(`{"customer": 8}`))
			refused("no body", header, nil)
		}
		for name, values := range header {
			missing := header.Clone()
			missing.Del(name)
			refused("without "+name, missing, body)
			empty := header.Clone()
			empty.Set(name, "")
			refused("with an empty "+name, empty, body)
			twice := header.Clone()
			twice.Add(name, values[0])
			refused("with "+name+" twice", twice, body)
			cut := header.Clone()
			cut.Set(name, values[0][:len(values[0])-1])
			if !strings.HasPrefix(values[0], "t=") { // its end is a version that does not count
				refused("with "+name+" cut", cut, body)
			}
		}
	}
}

func TestASignedTimeIsOfNow(t *testing.T) {
	t.Parallel()
	for _, style := range []cronium.WebhookStyle{cronium.WebhookHMAC, cronium.WebhookStripe, cronium.WebhookSlack} {
		for _, test := range []struct {
			age  time.Duration
			good bool
		}{{0, true}, {299 * time.Second, true}, {-299 * time.Second, true}, {302 * time.Second, false}, {-302 * time.Second, false}, {24 * time.Hour, false}} {
			w, header := styled(style, secret, test.age)
			proof, err := webhook.Verify(w, [][]byte{secret}, header, body, now)
			if (err == nil) != test.good {
				t.Errorf("%s, signed %s ago: %v", style, test.age, err)
			}
			// Whoever sends it again within the window finds it remembered.
			if test.good && proof.Remember < 2*time.Duration(w.WindowSeconds)*time.Second {
				t.Errorf("%s is remembered for %s", style, proof.Remember)
			}
		}
	}
}

func TestTimesInOtherNotationsAreRefused(t *testing.T) {
	t.Parallel()
	w := cronium.NewWebhook()
	w.Header, w.TimestampHeader = "X-Signed", "X-Time"
	for _, at := range []string{"+" + stamp(0), "0" + stamp(0), stamp(0) + ".0", " " + stamp(0), "-1", "9223372036854775807", "0x6ab13b80", "now"} {
		header := http.Header{"X-Time": {at}, "X-Signed": {sign(secret, at, ".", string(body))}}
		if _, err := webhook.Verify(&w, [][]byte{secret}, header, body, now); err == nil {
			t.Errorf("the time %q was taken", at)
		}
	}
}

func TestSignaturesAreRememberedWhereTheyTellARepetition(t *testing.T) {
	t.Parallel()
	for style, remembered := range map[cronium.WebhookStyle]bool{
		cronium.WebhookHMAC: true, cronium.WebhookGitHub: true, cronium.WebhookStripe: true, cronium.WebhookSlack: true, cronium.WebhookKey: false,
	} {
		w, header := styled(style, secret, 0)
		proof, err := webhook.Verify(w, [][]byte{secret}, header, body, now)
		if err != nil || (proof.Signature != nil) != remembered {
			t.Errorf("%s: %v, %v", style, proof, err)
		}
	}
	// Without a signed time equal bodies may be meant.
	w := cronium.NewWebhook()
	w.Header, w.TimestampHeader = "X-Signed", ""
	mac, _ := hex.DecodeString(sign(secret, string(body)))
	for _, text := range []string{hex.EncodeToString(mac), "sha256=" + hex.EncodeToString(mac), base64.StdEncoding.EncodeToString(mac)} {
		proof, err := webhook.Verify(&w, [][]byte{secret}, http.Header{"X-Signed": {text}}, body, now)
		if err != nil || proof.Signature != nil {
			t.Errorf("%s: %v, %v", text, proof, err)
		}
	}
}

func TestAKeyMayComeAsABearersToken(t *testing.T) {
	t.Parallel()
	w := cronium.NewWebhook()
	w.Style, w.Header = cronium.WebhookKey, "Authorization"
	if _, err := webhook.Verify(&w, [][]byte{secret}, http.Header{"Authorization": {"Bearer " + string(secret)}}, nil, now); err != nil {
		t.Error(err)
	}
	if _, err := webhook.Verify(&w, [][]byte{secret}, http.Header{"Authorization": {"Bearer "}}, nil, now); err == nil {
		t.Error("an empty key was taken")
	}
}
