package bucket_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"cronium.dev/artifacts/bucket"
	"cronium.dev/internal/testenv/objects"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, s *objects.Storage, change func(*bucket.Config)) *bucket.Bucket {
	t.Helper()
	config := bucket.Config{URL: s.URL(), Region: objects.Region, AccessKey: objects.AccessKey, SecretKey: objects.SecretKey}
	if change != nil {
		change(&config)
	}
	b, err := bucket.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func put(b *bucket.Bucket, t *testing.T, name, content string) error {
	sum := sha256.Sum256([]byte(content))
	return b.Put(t.Context(), name, int64(len(content)), sum[:], strings.NewReader(content))
}

func TestObjectsAreStoredReadAndRemoved(t *testing.T) {
	t.Parallel()
	s := objects.New(t)
	for name, b := range map[string]*bucket.Bucket{
		"plain":         open(t, s, nil),
		"with a prefix": open(t, s, func(c *bucket.Config) { c.URL += "/a prefix/" }),
	} {
		for _, content := range []string{"", "hello", strings.Repeat("x", 3<<20)} {
			if err := put(b, t, "w/e/a", content); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for from := range min(len(content), 3) + 1 {
				r, err := b.Get(t.Context(), "w/e/a", int64(from))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				got, err := io.ReadAll(r)
				if r.Close(); err != nil || string(got) != content[from:] {
					t.Errorf("%s: read %d bytes from %d, %v", name, len(got), from, err)
				}
			}
		}
		for range 2 {
			if err := b.Remove(t.Context(), "w/e/a"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := b.Get(t.Context(), "w/e/a", 0); !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.Refused(); n != 0 {
		t.Errorf("%d requests were refused", n)
	}
}

func TestDamagedContentIsNotStored(t *testing.T) {
	t.Parallel()
	s := objects.New(t)
	b := open(t, s, nil)
	sum := sha256.Sum256([]byte("other"))
	if err := b.Put(t.Context(), "a", 5, sum[:], bytes.NewReader([]byte("hello"))); err == nil {
		t.Error("it was stored")
	}
	if names := s.Names(); len(names) != 0 {
		t.Errorf("there are %v", names)
	}
}

func TestRefusalsAreErrorsWithTheirReasonAndWithoutKeys(t *testing.T) {
	t.Parallel()
	s := objects.New(t)
	b := open(t, s, func(c *bucket.Config) { c.SecretKey = "wrong-secret" })
	err := put(b, t, "a", "x")
	if err == nil || !strings.Contains(err.Error(), "SignatureDoesNotMatch") || strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("%v", err)
	}
	s.Away(true)
	if err := b.Remove(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("%v", err)
	}
}

func TestAddressesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "bucket", "ftp://x/y", "https://user:pass@x/y", "https://x/y?a=b", "https://x/y#z", "https:///y"} {
		_, err := bucket.New(bucket.Config{URL: url, AccessKey: "a", SecretKey: "b"})
		if err == nil || strings.Contains(err.Error(), "pass") {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := bucket.New(bucket.Config{URL: "https://x/y"}); err == nil {
		t.Error("a bucket without keys")
	}
}
