package bucket

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The requests and signatures are those that Amazon's description of signature
// version 4 for S3 works out.
func TestSignaturesAreTheDescribedOnes(t *testing.T) {
	t.Parallel()
	b, err := New(Config{URL: "https://examplebucket.s3.amazonaws.com", AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"})
	if err != nil {
		t.Fatal(err)
	}
	b.now = func() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		method, path, digest, want string
		header                     http.Header
	}{
		"get": {"GET", "test.txt", emptyDigest, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", http.Header{"Range": {"bytes=0-9"}}},
		"put": {"PUT", "test$file.text", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
			http.Header{"Date": {"Fri, 24 May 2013 00:00:00 GMT"}, "X-Amz-Storage-Class": {"REDUCED_REDUNDANCY"}}},
	} {
		r, err := b.request(t.Context(), c.method, c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if name == "put" { // the description escapes what Go leaves as it is
			r.URL.RawPath = "/test%24file.text"
		}
		r.Header = c.header
		b.sign(r, c.digest)
		if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, ",Signature="+c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
