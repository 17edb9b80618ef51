// Package instance runs real Cronium installations for the fault run, the
// benchmarks and the walks in a browser: the built programs, one or more server
// processes that share a data folder with its embedded PostgreSQL, and a client
// of their API.
//
//	binaries, err := instance.Build(ctx, dir)
//	site := &instance.Site{Binaries: binaries, Data: data, Logs: logs}
//	server, err := site.Start(ctx)
//	token, err := site.Token(ctx)
//	client := instance.NewClient(token, func() string { return server.Address })
//
// Nothing here knows what the servers do inside: it starts, signals and asks
// them as a person with a shell would.
package instance
