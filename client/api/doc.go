// Package api is the API of a Cronium server in Go: a type for each of its
// schemas and a method for each of its operations, made by internal/clientgen
// from what the server itself is made of.
//
//	a := api.API{Client: client.New("https://cronium.example", token)}
//	job, err := a.RunEvent(ctx, id, api.RunEventOptions{}, api.RunEventInputBody{})
//
// A refusal is a *client.Error. Lists are read page by page with their Cursor;
// client.List reads all pages. Streams are followed with client.Follow.
package api

import "cronium.dev/client"

//go:generate go run cronium.dev/internal/clientgen .

// API asks a server. It may be used concurrently.
type API struct{ Client *client.Client }
