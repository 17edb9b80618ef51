// Package outbound keeps requests that people and scripts choose from reaching
// what only this machine can reach: itself, private networks, the metadata
// services of clouds.
//
// A Guard is asked when a connection is about to be made, with the address that
// the name was resolved to, so that a name that changes its address between a
// check and its use, a redirect, and an address in another notation all come to
// the same check. A workspace's allow list opens ranges and names.
//
// It uses the standard library alone: the agent has it as well.
package outbound
