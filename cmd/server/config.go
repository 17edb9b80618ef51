package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cronium.dev/agent/tunnel"
	"cronium.dev/artifacts/bucket"
	"cronium.dev/auth"
	"cronium.dev/cronium"
)

// databaseFlags say where the database is.
type databaseFlags struct {
	Data        string `env:"CRONIUM_DATA" default:"${data}" placeholder:"DIR" help:"Folder for keys and, without --database-url, the database, made when it does not exist. Here ${default}."`
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"A PostgreSQL 14 or newer: postgres://user@host/database; give a password in $DATABASE_URL, where ps does not show it. Without it Cronium runs one of its own in the data folder."`
}

// serveCommand is the configuration of a server process.
type serveCommand struct {
	databaseFlags
	artifactFlags
	Listen         string   `env:"CRONIUM_LISTEN" default:"127.0.0.1:8080" placeholder:"ADDRESS" help:"Address and port of the pages and the API. Port 0 takes a free one. Without it ${default}."`
	URL            string   `env:"CRONIUM_URL" placeholder:"URL" help:"How browsers reach this server, if not by its listen address: https://cronium.example."`
	InternalURL    string   `name:"internal-url" env:"CRONIUM_INTERNAL_URL" placeholder:"URL" help:"How other server processes of this installation reach this one, for terminals and files on agents that are connected here: http://10.0.0.5:8080. Without it its listen address."`
	TLSCert        string   `name:"tls-cert" env:"CRONIUM_TLS_CERT" placeholder:"FILE" help:"Certificate chain (PEM). With --tls-key the server speaks HTTPS and HTTP/2."`
	TLSKey         string   `name:"tls-key" env:"CRONIUM_TLS_KEY" placeholder:"FILE" help:"The certificate's key (PEM)."`
	TrustedProxies []string `name:"trusted-proxy" env:"CRONIUM_TRUSTED_PROXIES" placeholder:"CIDR" help:"Networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."`
	MaxRuns        int      `name:"max-runs" env:"CRONIUM_MAX_RUNS" default:"16" placeholder:"N" help:"Executions at once in this process, 1 to 1000. Without it ${default}."`
	MaxRemoteRuns  int      `name:"max-remote-runs" env:"CRONIUM_MAX_REMOTE_RUNS" default:"1000" placeholder:"N" help:"Executions at once over SSH, and as many on installed agents, 1 to 10000. Without it ${default}."`
	APIRate        int      `name:"api-rate" env:"CRONIUM_API_RATE" default:"1200" placeholder:"N" help:"Requests to the API in a minute by one token, or by one person's browsers, 0 to 1000000; 0 is no limit. Without it ${default}."`
	Engine         string   `env:"CRONIUM_ENGINE" placeholder:"ADDRESS" help:"Address of the container engine, like unix:///var/run/docker.sock. Without it DOCKER_HOST or the usual socket."`
	Image          string   `env:"CRONIUM_IMAGE" default:"cronium-runtime:latest" placeholder:"IMAGE" help:"Image of events that name none. Without it ${default}."`
	Pool           int      `env:"CRONIUM_POOL" default:"8" placeholder:"N" help:"Containers kept ready at most, 0 to 200. Without it ${default}."`
	DNS            []string `name:"dns" env:"CRONIUM_DNS" placeholder:"ADDRESS" help:"Name servers for containers with internet access. Without it the host's public ones."`
	Agent          string   `env:"CRONIUM_AGENT" placeholder:"FILE" help:"The cronium-agent binary for containers. Without it the one beside this program."`
	ProcessTarget  bool     `name:"process-target" env:"CRONIUM_PROCESS_TARGET" help:"Let events run on this machine without isolation. For development only: every script can then read this server's data."`
	LogLevel       string   `name:"log-level" env:"CRONIUM_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"The least that is logged: debug, info, warn or error."`
}

// artifactFlags say where the files that scripts keep with their runs go.
type artifactFlags struct {
	Bucket        string `name:"s3-url" env:"CRONIUM_S3_URL" placeholder:"URL" help:"A bucket of an S3-compatible storage for large artifacts: https://s3.example.com/bucket. Its keys are given in $CRONIUM_S3_ACCESS_KEY and $CRONIUM_S3_SECRET_KEY. Without it all artifacts are in the database."`
	BucketRegion  string `name:"s3-region" env:"CRONIUM_S3_REGION" default:"us-east-1" placeholder:"REGION" help:"The bucket's region. Without it ${default}."`
	BucketFromMiB int    `name:"s3-from" env:"CRONIUM_S3_FROM" default:"1" placeholder:"MIB" help:"Artifacts of at least so many MiB go to the bucket, smaller ones stay in the database; 0 to 4096. Without it ${default}."`
}

// bucket is the storage for large artifacts; nil if none is configured. Its keys
// are never arguments: ps would show them.
func (f *artifactFlags) bucket() (*bucket.Bucket, error) {
	if f.Bucket == "" {
		return nil, nil
	}
	return bucket.New(bucket.Config{URL: f.Bucket, Region: f.BucketRegion, AccessKey: os.Getenv("CRONIUM_S3_ACCESS_KEY"), SecretKey: os.Getenv("CRONIUM_S3_SECRET_KEY")})
}

func (f *artifactFlags) problems() (p cronium.Problems) {
	if _, err := f.bucket(); err != nil {
		p.Add(false, "--s3-url", "cannot be used: %v ($CRONIUM_S3_ACCESS_KEY and $CRONIUM_S3_SECRET_KEY are the keys)", err)
	}
	p.Add(f.BucketFromMiB >= 0 && f.BucketFromMiB <= 4096, "--s3-from", "must be between 0 and 4,096, not %d", f.BucketFromMiB)
	return p
}

// defaultDataDir is where a service keeps its data: root's in /var/lib, a
// person's below their home.
func defaultDataDir() string {
	if os.Getuid() == 0 {
		return "/var/lib/cronium"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "cronium")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "share", "cronium")
	}
	return "cronium-data"
}

// Validate refuses wrong values before anything is started.
func (c *serveCommand) Validate() error {
	var p cronium.Problems
	_, port, err := net.SplitHostPort(c.Listen)
	p.Add(err == nil && port != "", "--listen", "must be an address and a port, like 127.0.0.1:8080 or :8080, not %q", c.Listen)
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		p.Add(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && strings.Trim(u.Path, "/") == "",
			"--url", "must be like https://cronium.example, without a path, not %q", c.URL)
	}
	if c.InternalURL != "" {
		_, err := tunnel.CheckURL(c.InternalURL)
		p.Add(err == nil, "--internal-url", "must be like http://10.0.0.5:8080, not %q", c.InternalURL)
	}
	p.Add((c.TLSCert == "") == (c.TLSKey == ""), "--tls-cert", "and --tls-key must be given together")
	for _, proxy := range c.TrustedProxies {
		_, err := netip.ParsePrefix(proxy)
		p.Add(err == nil, "--trusted-proxy", "must be a network like 10.0.0.0/8, not %q", proxy)
	}
	for _, server := range c.DNS {
		_, err := netip.ParseAddr(server)
		p.Add(err == nil, "--dns", "must be an IP address like 9.9.9.9, not %q", server)
	}
	p.Add(c.MaxRuns >= 1 && c.MaxRuns <= 1000, "--max-runs", "must be between 1 and 1,000, not %d", c.MaxRuns)
	p.Add(c.APIRate >= 0 && c.APIRate <= 1_000_000, "--api-rate", "must be between 0 (no limit) and 1,000,000, not %d", c.APIRate)
	p.Add(c.MaxRemoteRuns >= 1 && c.MaxRemoteRuns <= 10_000, "--max-remote-runs", "must be between 1 and 10,000, not %d", c.MaxRemoteRuns)
	p.Add(c.Pool >= 0 && c.Pool <= 200, "--pool", "must be between 0 and 200, not %d", c.Pool)
	p.Add(c.Image != "", "--image", "must name an image, like cronium-runtime:latest")
	problems := slices.Concat(p, c.databaseFlags.problems(), c.artifactFlags.problems())
	return configurationError(problems)
}

// configurationError lists what is wrong, a line each, as the command line shows
// errors.
func configurationError(p cronium.Problems) error {
	if err := p.Err("The configuration"); err != nil {
		return errors.New(explain(err))
	}
	return nil
}

func (d *databaseFlags) problems() cronium.Problems {
	var p cronium.Problems
	p.Add(d.Data != "", "--data", "must name a folder")
	if d.DatabaseURL != "" {
		u, err := url.Parse(d.DatabaseURL)
		p.Add(err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql"), "--database-url",
			"must be like postgres://user:password@host:5432/database") // not shown: it holds a password
	}
	return p
}

// origin is --url as browsers name it in the header Origin; "" without --url.
func (c *serveCommand) origin() string {
	u, err := url.Parse(c.URL)
	if err != nil || c.URL == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func (c *serveCommand) proxies() auth.Proxies {
	var proxies auth.Proxies
	for _, text := range c.TrustedProxies {
		proxies = append(proxies, netip.MustParsePrefix(text))
	}
	return proxies
}

func (c *serveCommand) log() *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// agentFile finds the agent's binary.
func (c *serveCommand) agentFile() (string, error) {
	if c.Agent != "" {
		return c.Agent, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's folder: %w", err)
	}
	return filepath.Join(filepath.Dir(self), "cronium-agent"), nil
}
