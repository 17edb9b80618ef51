// Package webhook reads requests that come to webhooks: it verifies who sent
// them and makes the input of a job of them. It does no input or output.
//
// Verify comes first, on the body as it came: nothing is parsed and nothing
// stored of a request that has not shown its sender to be the right one. All
// comparisons with secrets take the same time whatever differs.
package webhook
