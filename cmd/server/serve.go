package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/handlers"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/static"
	"cronium.dev/store"
)

// stopLimit is how long a stopping server may finish short work.
const stopLimit = 20 * time.Second

// Run starts a server process and runs it until ctx ends. What runs then is
// handed over, not stopped.
func (c *serveCommand) Run(ctx context.Context) error {
	log, started := c.log(), time.Now()
	s, stopDatabase, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer stopDatabase()
	defer s.Close()
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	defer listener.Close()
	key, err := signingKey(ctx, c.Data, s)
	if err != nil {
		return err
	}
	master, err := masterKey(ctx, c.Data, s)
	if err != nil {
		return err
	}
	box := secrets.NewBox(s, master)

	work, endWork := context.WithCancel(context.Background())
	defer endWork()
	hub := live.New(s.Pool(), log)
	hub.Start(work)
	defer hub.Stop()
	tails := live.NewTails(hub, s, log)
	defer tails.Close()

	targets, err := c.targets(ctx, s, hub, box, key, log)
	if err != nil {
		return err
	}
	engine, err := targets.engine(c, s, hub, box, key, c.internalAddress(listener), log)
	if err != nil {
		return err
	}
	// The process is registered before it makes containers ahead: others
	// remove containers of processes that they do not know.
	if err := engine.Start(ctx); err != nil {
		return err
	}
	var background sync.WaitGroup
	targets.run(work, &background, s, hub, log)
	defer func() {
		stop, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		if err := engine.Stop(stop); err != nil {
			log.Error("the engine did not stop cleanly", "error", err)
		}
		endWork()
		background.Wait()
		targets.servers.Close()
	}()

	people, err := auth.New(s, log)
	if err != nil {
		return err
	}
	background.Go(func() { people.Sweep(work) })
	terminals := targets.terminals(s, box, key, log)
	background.Go(func() { terminals.Run(work) })
	kept, err := c.artifacts(s, log)
	if err != nil {
		return err
	}
	background.Go(func() { kept.Run(work) })
	files, err := static.New()
	if err != nil {
		return err
	}
	handler := handlers.New(handlers.Config{
		Store: s, Auth: people, Engine: engine, Hub: hub, Tails: tails, Containers: targets.containers, Agents: targets.agents, Tester: targets.servers, Box: box, Terminals: terminals, Files: targets.files(key), Artifacts: kept,
		Log: log, Version: version, Static: files, Proxies: c.proxies(), Origin: c.origin(), Started: started, ProcessTarget: c.ProcessTarget, Draining: ctx, APIRate: c.APIRate,
	})
	if err := announce(ctx, people, c.address(listener)); err != nil {
		return err
	}
	return c.serveHTTP(ctx, listener, handler, log)
}

// instanceName names the installation in the labels of its containers.
func instanceName(ctx context.Context, s *store.Store) (string, error) {
	name := cronium.NewID().String()
	err := s.InitSetting(ctx, "instance", &name)
	return name, err
}

// address is how a browser on this machine, or by --url, reaches the server.
func (c *serveCommand) address(listener net.Listener) string {
	if c.URL != "" {
		return c.origin()
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// internalAddress is how other server processes reach this one. Without
// --internal-url it is its own listen address; one that listens everywhere cannot
// know by which name others would, so only those of the same machine do.
func (c *serveCommand) internalAddress(listener net.Listener) string {
	if c.InternalURL != "" {
		return c.InternalURL
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := address.IP.String()
	if address.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(address.Port))
}

// announce prints, as the last line of a start, where to go. The code is in the
// fragment, which browsers do not send.
func announce(ctx context.Context, people *auth.Service, address string) error {
	code, first, err := people.FirstRunCode(ctx)
	if err != nil {
		return err
	}
	if first {
		fmt.Printf("\nCronium is ready. Make the first account here (the code is good for one):\n%s/setup#code=%s\n", address, code)
		return nil
	}
	fmt.Printf("\nCronium is ready:\n%s\n", address)
	return nil
}

// serveHTTP answers requests until ctx ends. Streams end with ctx, by the
// handlers' Draining; other requests may finish.
func (c *serveCommand) serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() {
		if c.TLSCert != "" {
			failed <- server.ServeTLS(listener, c.TLSCert, c.TLSKey)
			return
		}
		failed <- server.Serve(listener)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	log.Info("stopping")
	grace, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop serving: %w", err)
	}
	return nil
}
