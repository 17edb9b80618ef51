// Package architecture holds the tests of the rules that the compiler does not
// know: which package may import which, how long a file may be, that each
// package says what it is for. The rules are explained in ARCHITECTURE.md.
package architecture
