// Package browsing walks through the pages as a person does: in a real
// Chromium, on the built program with its embedded PostgreSQL, with scripts
// that run in real containers.
//
//	go test ./internal/browsing
//	go test -run 'Test/Pages/palette' ./internal/browsing      one walk
//	CRONIUM_PICTURES=/tmp/p go test -run Test/Pages/every ./internal/browsing
//
// One server serves all walks side by side, each in a tab of its own; another
// is set up for the first time and killed. The list in browsing_test.go says
// what is promised. A walk also fails for an error in the browser's console and
// for a violation of the content security policy.
package browsing
