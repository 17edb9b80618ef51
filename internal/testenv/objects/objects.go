// Package objects is an object storage for tests: it keeps objects in memory and
// takes requests as strictly as S3 does. A request must be signed with the key
// that it knows, lately, every header that matters included; what is sent must
// have the length and the digest that was signed.
package objects

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// The only key that it knows.
const (
	AccessKey = "AKIDEXAMPLE"
	SecretKey = "secret/of+tests"
	Region    = "eu-test-1"
)

// Storage is a server with one bucket.
type Storage struct {
	server *httptest.Server

	mu      sync.Mutex
	objects map[string][]byte
	away    bool
	refused int
}

// New starts one that ends with the test.
func New(t testing.TB) *Storage {
	s := &Storage{objects: map[string][]byte{}}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

// URL is the bucket's address.
func (s *Storage) URL() string { return s.server.URL + "/bucket" }

// Away has it answer 503 from now on, or not any more.
func (s *Storage) Away(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// Names lists the objects that it has.
func (s *Storage) Names() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.objects {
		names = append(names, name)
	}
	return names
}

// Refused is how many requests were not as they must be.
func (s *Storage) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

func (s *Storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>No.</Message></Error>`, code)
	}
	if s.away {
		answer(http.StatusServiceUnavailable, "SlowDown")
		return
	}
	name, ours := strings.CutPrefix(r.URL.Path, "/bucket/")
	problem := verify(r, body)
	if err != nil || !ours || problem != "" {
		s.refused++
		answer(http.StatusForbidden, problem)
		return
	}
	object, there := s.objects[name]
	switch {
	case r.Method == http.MethodPut:
		s.objects[name] = body
	case r.Method == http.MethodDelete:
		delete(s.objects, name)
		w.WriteHeader(http.StatusNoContent)
	case !there:
		answer(http.StatusNotFound, "NoSuchKey")
	default:
		var from int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && from <= len(object) {
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(object[from:])
	}
}

// verify computes the signature from what has arrived; it says what is wrong.
func verify(r *http.Request, body []byte) string {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 15*time.Minute {
		return "RequestTimeTooSkewed"
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	if r.Header.Get("X-Amz-Content-Sha256") != digest || r.ContentLength != int64(len(body)) {
		return "XAmzContentSHA256Mismatch"
	}
	fields := map[string]string{}
	for field := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	scope := at.Format("20060102") + "/" + Region + "/s3/aws4_request"
	if fields["Credential"] != AccessKey+"/"+scope {
		return "InvalidAccessKeyId"
	}
	canonical := r.Method + "\n" + r.URL.EscapedPath() + "\n" + r.URL.RawQuery + "\n"
	signed := strings.Split(fields["SignedHeaders"], ";")
	for _, name := range signed {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical += name + ":" + value + "\n"
	}
	for name := range r.Header {
		if name = strings.ToLower(name); (strings.HasPrefix(name, "x-amz-") || name == "range" || name == "content-type") && !strings.Contains(";"+fields["SignedHeaders"]+";", ";"+name+";") {
			return "UnsignedHeader"
		}
	}
	canonical += "\n" + fields["SignedHeaders"] + "\n" + digest
	hashed := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + SecretKey)
	for _, text := range append(strings.Split(scope, "/"), "AWS4-HMAC-SHA256\n"+at.Format("20060102T150405Z")+"\n"+scope+"\n"+hex.EncodeToString(hashed[:])) {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		key = h.Sum(nil)
	}
	if hex.EncodeToString(key) != fields["Signature"] || signed[0] != "host" && !strings.Contains(fields["SignedHeaders"], "host") {
		return "SignatureDoesNotMatch"
	}
	return ""
}
