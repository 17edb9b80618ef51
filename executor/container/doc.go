// Package container runs each execution in a container of its own, on an
// engine that speaks Docker's API.
//
// The agent is PID 1: a static binary in a read-only volume, so any image
// works. Its standard streams are attached before the start and are the first
// connection; after a cut, or from another server, a connection is an exec of
// `cronium-agent connect`. The container is removed after one execution.
//
//	engine.go   the engine's client library, used nowhere else
//	harden.go   what a script's container may do
//	backend.go  create, find, sweep; place.go one container; stream.go its streams
//	pool.go     containers made ahead; demand.go how many
//	network.go  what a container may reach; agent.go the agent's volume
//	errors.go   what a person reads when the engine refuses
package container
