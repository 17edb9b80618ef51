package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cronium.dev/cronium"
)

// Each way in which output may show a secret.
func TestASecretIsMaskedInEachForm(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"hunter22", "p@ss w0rd/+&\"<é\\", "tök€n-𝄞-ab", strings.Repeat("long0123456789-", 40)} {
		mask := NewMask([]byte(secret))
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := json.Marshal(string(quoted))
		if err != nil {
			t.Fatal(err)
		}
		for name, shown := range map[string]string{
			"raw":           secret,
			"json":          strings.Trim(string(quoted), `"`),
			"json twice":    strings.TrimSuffix(strings.TrimPrefix(string(twice), `"\"`), `\""`),
			"json in ascii": jsonEscape(secret, true, false),
			"query":         url.QueryEscape(secret),
			"path":          url.PathEscape(secret),
			"percent":       percent(secret),
			"hex":           hex.EncodeToString([]byte(secret)),
			"HEX":           strings.ToUpper(hex.EncodeToString([]byte(secret))),
			"base64":        base64.RawStdEncoding.EncodeToString([]byte(secret)),
			"base64 URL":    base64.RawURLEncoding.EncodeToString([]byte(secret)),
		} {
			text := "before " + shown + " after"
			if got, want := mask.Text(text), "before "+strings.Repeat("*", len(shown))+" after"; got != want {
				t.Errorf("%s of %q is shown as %q", name, secret, got)
			}
		}
	}
}

// In base64 of a longer text, the letters of a secret depend on what is before it.
func TestASecretIsMaskedInBase64OfALongerText(t *testing.T) {
	t.Parallel()
	secret := "correct-horse"
	mask := NewMask([]byte(secret))
	for before := range 4 {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			text := strings.Repeat("x", before) + secret + "yyy"
			shown := mask.Text(encoding.EncodeToString([]byte(text)))
			if stars := strings.Count(shown, "*"); stars < len(secret)*8/6-2 {
				t.Errorf("with %d bytes before it: %q", before, shown)
			}
		}
	}
	key := strings.Repeat("0123456789abcdef", 12) // as `base64` breaks it
	broken := base64.StdEncoding.EncodeToString([]byte(key))
	for _, length := range lineLengths {
		var text strings.Builder
		for rest := broken; rest != ""; {
			n := min(length, len(rest))
			text.WriteString(rest[:n] + "\n")
			rest = rest[n:]
		}
		if left := strings.Trim(NewMask([]byte(key)).Text(text.String()), "*\n="); left != "" {
			t.Errorf("in lines of %d letters %q is shown", length, left)
		}
	}
}

func TestLinesAndPartsOfASecretAreMasked(t *testing.T) {
	t.Parallel()
	for value, shown := range map[string]string{
		"-----BEGIN KEY-----\nMIIEow\r\n-----END KEY-----\n": "key: MIIEow.",
		"  padded-secret \n":                      "padded-secret",
		`{"user": "root", "password": "s3cr3t!"}`: "password=s3cr3t!",
		`["first-one", {"x": 123456789}]`:         "n=123456789",
	} {
		if got := NewMask([]byte(value)).Text(shown); !strings.Contains(got, "****") || got == shown {
			t.Errorf("of %q, %q is shown as %q", value, shown, got)
		}
	}
}

func TestMaskedJSONStaysJSON(t *testing.T) {
	t.Parallel()
	mask := NewMask([]byte("hunter22"), []byte("1234567"), []byte(`{"a":"bcdef"}`), []byte(`":"x`))
	for value, want := range map[string]string{
		`{"p":"hunter22","q":1}`:      `{"p":"********","q":1}`,
		`{"b":1234567,"a":[1]}`:       `{"b":"*******","a":[1]}`,
		`{"p":"\u0068unter22"}`:       `{"p":"********"}`,
		`{"hunter22":null}`:           `{"********":null}`,
		`{"plain":"te\"xt","n":1e3}`:  `{"plain":"te\"xt","n":1e3}`,
		`{"x":"a:\\\"hunter22\\\"!"}`: `{"x":"a:\\\"********\\\"!"}`,
	} {
		got := mask.JSON(json.RawMessage(value))
		if string(got) != want || !json.Valid(got) {
			t.Errorf("%s became %s, want %s", value, got, want)
		}
	}
	for _, value := range []string{`{"a":"bcdef"}`, `{"k":"x1"}`} {
		if got := mask.JSON(json.RawMessage(value)); !json.Valid(got) || strings.Contains(string(got), "bcdef") || strings.Contains(string(got), `":"x`) {
			t.Errorf("%s became %s", value, got)
		}
	}
}

// masked is what a text is in one piece.
func masked(mask *Mask, text []byte) []byte {
	text = bytes.Clone(text)
	mask.Bytes(text)
	return text
}

// However an output comes in pieces, what is given out is what masking each whole
// stream would give, in the order in which it came.
func TestAVeilMasksAcrossPiecesOfTwoStreams(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SliceOfN(rapid.SampledFrom([]byte("ab")), 4, 9)
		secrets := rapid.SliceOfN(letters, 1, 3).Draw(t, "secrets")
		forms := map[string]bool{}
		for _, s := range secrets {
			add(forms, s)
		}
		mask := compile(forms)
		v := NewVeil(NewHidden(mask))
		whole, got := map[cronium.Stream][]byte{}, map[cronium.Stream][]byte{}
		var order, gotOrder []cronium.Stream
		take := func(chunks []cronium.Chunk) {
			for _, c := range chunks {
				got[c.Stream] = append(got[c.Stream], c.Data...)
				for range c.Data {
					gotOrder = append(gotOrder, c.Stream)
				}
			}
		}
		for range rapid.IntRange(1, 30).Draw(t, "pieces") {
			stream := rapid.SampledFrom([]cronium.Stream{cronium.Stdout, cronium.Stderr}).Draw(t, "stream")
			data := rapid.SliceOfN(rapid.SampledFrom([]byte("abc")), 1, 12).Draw(t, "data")
			whole[stream] = append(whole[stream], data...)
			for range data {
				order = append(order, stream)
			}
			take(v.Add([]cronium.Chunk{{Stream: stream, Data: data}}))
		}
		take(v.Rest())
		if string(streams(order)) != string(streams(gotOrder)) {
			t.Fatal("the order of the streams is another")
		}
		for stream, text := range whole {
			want := masked(mask, text)
			for i := range want {
				// At the very end a beginning may be masked too.
				if got[stream][i] != want[i] && (got[stream][i] != '*' || i < len(want)-9) {
					t.Fatalf("stream %v, secrets %q: %q is given out as %q, want %q", stream, secrets, text, got[stream], want)
				}
			}
		}
	})
}

func streams(order []cronium.Stream) []byte {
	var b []byte
	for _, s := range order {
		b = append(b, byte('0'+int(s)))
	}
	return b
}

func TestAVeilHoldsBackLittleAndNotForLong(t *testing.T) {
	t.Parallel()
	v := NewVeil(NewHidden(NewMask([]byte("hunter22"))))
	if ready := v.Add(chunk(cronium.Stdout, "a line\nhunt")); len(ready) != 1 || string(ready[0].Data) != "a line\n" {
		t.Fatalf("%+v", ready)
	}
	given := 0
	for range 100 {
		for _, c := range v.Add(chunk(cronium.Stderr, strings.Repeat("e", 8<<10))) {
			given += len(c.Data)
		}
	}
	if v.Held() > heldBytes || given == 0 {
		t.Errorf("%d bytes are held back, %d were given", v.Held(), given)
	}
	// A script that prints a secret byte by byte, so slowly that nobody waits.
	shown := ""
	for _, b := range "hunter22" {
		for _, c := range append(v.Add(chunk(cronium.Stdout, string(b))), v.Rest()...) {
			if c.Stream == cronium.Stdout {
				shown += string(c.Data)
			}
		}
	}
	if !strings.HasSuffix(shown, "******") {
		t.Errorf("%q was shown", shown)
	}
}

func chunk(stream cronium.Stream, text string) []cronium.Chunk {
	return []cronium.Chunk{{Stream: stream, Data: []byte(text)}}
}

func TestWhatIsReadLaterIsMaskedFromThenOn(t *testing.T) {
	t.Parallel()
	hidden := NewHidden(NewMask())
	v := NewVeil(hidden)
	v.Add(chunk(cronium.Stdout, "nothing yet\n"))
	hidden.Add([]byte("brand-new"))
	if got := v.Add(chunk(cronium.Stdout, "brand-new\n")); string(got[0].Data) != "*********\n" {
		t.Errorf("%+v", got)
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("secret"), []byte("a secret, c2VjcmV0, %73ecret"))
	f.Add([]byte("{\"a\":[\"b\\u0000\"]}"), []byte("x"))
	f.Fuzz(func(t *testing.T, secret, text []byte) {
		mask := NewMask(secret)
		hidden := mask.Text(string(text) + string(secret) + string(text))
		if len(hidden) != 2*len(text)+len(secret) {
			t.Fatalf("its length is %d", len(hidden))
		}
		if len(secret) >= minPattern && string(bytes.Trim([]byte(hidden[len(text):len(text)+len(secret)]), "*")) != "" {
			t.Fatalf("%q is shown in %q", secret, hidden)
		}
		if json.Valid(text) && !json.Valid(mask.JSON(text)) {
			t.Fatalf("%q is no JSON any more", text)
		}
	})
}

// BenchmarkVeil is for the share of masking in output_rate.
func BenchmarkVeil(b *testing.B) {
	var values [][]byte
	for i := range 100 {
		value := make([]byte, 24)
		for j := range value {
			value[j] = "abcdefghijklmnopqrstuvwxyz0123456789"[rand.N(36)]
		}
		values = append(values, append(value, byte('0'+i%10)))
	}
	v := NewVeil(NewHidden(NewMask(values...)))
	text := []byte(strings.Repeat("2026-11-25T08:00:00Z INFO rows copied from customers to archive: 1234\n", 468))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		v.Add([]cronium.Chunk{{Stream: cronium.Stdout, Data: text}})
	}
}
