package tunnel

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// dialLimit is how long it may take from the first packet to the WebSocket.
const dialLimit = 30 * time.Second

// Agent is how an agent shows itself.
type Agent struct {
	Key      ed25519.PrivateKey
	Server   ed25519.PublicKey // whom it wants to reach
	Protocol string
	Version  string // of the agent, for the server's log
}

// CheckURL tells whether an address can be a server's: http or https, a host,
// perhaps a path, and nothing else.
func CheckURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no address of a server; it is like https://cronium.example", address)
	}
	return u, nil
}

// Dial opens a tunnel to the server at address, through the proxy that
// HTTPS_PROXY or HTTP_PROXY names, if any. It fails with ErrServerKey when
// somebody else answers.
//
// The certificate of an HTTPS server is not checked: it may be that of a front
// end with an authority of its own. Nothing but the inner handshake, which checks
// the server's key, is said before it.
func Dial(ctx context.Context, address string, agent Agent) (*Conn, error) {
	u, err := CheckURL(address)
	if err != nil {
		return nil, err
	}
	config, err := AgentConfig(agent.Key, agent.Server, agent.Protocol)
	if err != nil {
		return nil, err
	}
	transport := newTransport(u)
	dialing, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	socket, answer, err := websocket.Dial(dialing, strings.TrimSuffix(u.String(), "/")+Path, &websocket.DialOptions{
		HTTPClient:      &http.Client{Transport: transport, CheckRedirect: noRedirect},
		HTTPHeader:      http.Header{"User-Agent": {"cronium-agent/" + agent.Version}},
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		transport.CloseIdleConnections()
		return nil, explain(u, answer, err)
	}
	s := newStream(socket)
	inner := tls.Client(s, config)
	if err := handshake(ctx, inner); err != nil {
		s.Close()
		if ended := s.ended.Load(); ended != nil {
			return nil, ended
		}
		if errors.Is(err, ErrServerKey) {
			return nil, ErrServerKey
		}
		return nil, fmt.Errorf("greet the server: %w", err)
	}
	return newConn(inner, s)
}

// noRedirect keeps an agent from following a front end to another place.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// explain puts into words why there is no WebSocket.
func explain(u *url.URL, answer *http.Response, err error) error {
	if answer == nil || answer.StatusCode == http.StatusSwitchingProtocols {
		return fmt.Errorf("reach %s: %w", u.Redacted(), err)
	}
	switch code := answer.StatusCode; {
	case code == http.StatusNotFound:
		return fmt.Errorf("%s answers, but is no Cronium server that takes agents", u.Redacted())
	case code >= 300 && code < 400:
		return fmt.Errorf("%s leads to %s; join with that address", u.Redacted(), answer.Header.Get("Location"))
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		return fmt.Errorf("%s has no time now (%s)", u.Redacted(), answer.Status)
	case code == http.StatusUpgradeRequired || code == http.StatusBadRequest || code == http.StatusOK:
		return fmt.Errorf("%s answers, but something on the way does not let WebSockets through (%s)", u.Redacted(), answer.Status)
	default:
		return fmt.Errorf("%s answers %s", u.Redacted(), answer.Status)
	}
}

// newTransport dials once and speaks HTTP/1.1, which WebSockets need.
func newTransport(u *url.URL) *http.Transport {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    handshakeLimit,
		ResponseHeaderTimeout:  handshakeLimit + 5*time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ReadBufferSize:         4 << 10,
		WriteBufferSize:        4 << 10,
	}
	if u.Scheme == "http" {
		t.Proxy, t.DialContext = nil, dialConnect
	}
	return t
}

// dialConnect dials for plain HTTP. Through a proxy it asks for a tunnel, as HTTPS
// does: what a proxy would do to a WebSocket that it sees is anybody's guess.
func dialConnect(ctx context.Context, network, address string) (net.Conn, error) {
	target := &http.Request{URL: &url.URL{Scheme: "http", Host: address}}
	proxy, err := http.ProxyFromEnvironment(target)
	if err != nil {
		return nil, fmt.Errorf("read the address of the proxy: %w", err)
	}
	var d net.Dialer
	if proxy == nil || proxy.Scheme != "http" {
		return d.DialContext(ctx, network, address)
	}
	conn, err := d.DialContext(ctx, network, hostPort(proxy))
	if err != nil {
		return nil, fmt.Errorf("reach the proxy: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if name := proxy.User.Username(); name != "" {
		password, _ := proxy.User.Password()
		ask.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	}
	if err := ask.Write(conn); err != nil {
		conn.Close()
		return nil, fmt.Errorf("ask the proxy: %w", err)
	}
	// Nothing comes after the answer before we have said something.
	answer, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxProxyAnswer)), ask)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", answer.Status)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("ask the proxy: %w", err)
	}
	return conn, nil
}

// maxProxyAnswer bounds the answer of a proxy, in bytes.
const maxProxyAnswer = 64 << 10

func hostPort(u *url.URL) string {
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), "80")
	}
	return u.Host
}
