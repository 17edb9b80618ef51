// Package proto is the protocol between a server and an agent. The .proto file
// beside it is its documentation; the generated code is committed.
package proto

//go:generate protoc --proto_path=../.. --go_out=../.. --go_opt=module=cronium.dev --go-grpc_out=../.. --go-grpc_opt=module=cronium.dev agent/proto/agent.proto
