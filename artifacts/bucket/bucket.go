// Package bucket is a bucket of an S3-compatible object storage: put, get and
// remove objects, each in one request that is signed (signature version 4).
//
// What Cronium needs of such a storage is four requests, so they are made here
// rather than by a library with hundreds. An object is sent with the digest that
// was computed when it was stored, so the storage refuses one that was damaged on
// its way.
package bucket

import (
	"context"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config says where the bucket is.
type Config struct {
	// URL is the bucket's: https://s3.example.com/bucket, or the bucket's own host;
	// what follows in the path is put before the names of objects.
	URL       string
	Region    string // "" = us-east-1
	AccessKey string
	SecretKey string
}

// Bucket is one bucket. Its methods may be called concurrently.
type Bucket struct {
	config Config
	base   *url.URL
	client *http.Client
	now    func() time.Time
}

// ErrNotFound says that there is no such object.
var ErrNotFound = errors.New("the object storage has no such object")

// answerTime is how long the storage may take to begin its answer.
const answerTime = 30 * time.Second

// New checks the configuration. It asks the storage nothing.
func New(config Config) (*Bucket, error) {
	base, err := url.Parse(strings.TrimRight(config.URL, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the bucket's address must be like https://s3.example.com/bucket") // not shown: it may hold a password
	}
	if config.AccessKey == "" || config.SecretKey == "" {
		return nil, errors.New("a bucket needs an access key and its secret")
	}
	if config.Region == "" {
		config.Region = "us-east-1"
	}
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: answerTime,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true,
	}
	return &Bucket{config: config, base: base, now: time.Now, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the signature is for one host
	}}, nil
}

// Close lets go of idle connections.
func (b *Bucket) Close() { b.client.CloseIdleConnections() }

// Put stores an object of size bytes whose SHA-256 is sum, in place of one of the
// same name.
func (b *Bucket) Put(ctx context.Context, name string, size int64, sum []byte, content io.Reader) error {
	r, err := b.request(ctx, http.MethodPut, name, content)
	if err != nil {
		return err
	}
	if r.ContentLength = size; size == 0 {
		r.Body = http.NoBody
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	return b.done(r, hex.EncodeToString(sum), http.StatusOK)
}

// Get reads an object from an offset to its end. It fails with ErrNotFound.
func (b *Bucket) Get(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	r, err := b.request(ctx, http.MethodGet, name, nil)
	if err != nil {
		return nil, err
	}
	want := http.StatusOK
	if from > 0 {
		r.Header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
		want = http.StatusPartialContent
	}
	res, err := b.send(r, emptyDigest, want)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Remove removes an object. Removing one that is not there succeeds.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	r, err := b.request(ctx, http.MethodDelete, name, nil)
	if err != nil {
		return err
	}
	if err := b.done(r, emptyDigest, http.StatusNoContent, http.StatusOK); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

func (b *Bucket) request(ctx context.Context, method, name string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, b.base.JoinPath(name).String(), body)
	if err != nil {
		return nil, fmt.Errorf("ask the object storage: %w", err)
	}
	return r, nil
}

func (b *Bucket) done(r *http.Request, digest string, wanted ...int) error {
	res, err := b.send(r, digest, wanted...)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	return res.Body.Close()
}

// send signs a request and sends it. An answer of another status than the wanted
// ones is an error.
func (b *Bucket) send(r *http.Request, digest string, wanted ...int) (*http.Response, error) {
	b.sign(r, digest)
	res, err := b.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask the object storage: %w", err)
	}
	for _, status := range wanted {
		if res.StatusCode == status {
			return res, nil
		}
	}
	defer res.Body.Close()
	err = refusal(res)
	if res.StatusCode == http.StatusNotFound && !strings.Contains(err.Error(), "NoSuchBucket") {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return nil, err
}

// refusal is what the storage says in a few words of XML.
func refusal(res *http.Response) error {
	var said struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	if err := xml.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&said); err != nil || said.Code == "" {
		return fmt.Errorf("the object storage answers %s", res.Status)
	}
	return fmt.Errorf("the object storage answers %s: %.100s: %.300s", res.Status, said.Code, said.Message)
}
