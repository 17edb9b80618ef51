// Package docs holds the tests that what the documents say is so: links lead
// somewhere, and the commands and flags that a reader is told to type exist.
package docs
