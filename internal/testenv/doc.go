// Package testenv gives tests the real things: a fresh PostgreSQL database a
// test, the container engine, and in package browser a Chromium.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// and each test asks for what it needs. All test processes of a checkout share
// one PostgreSQL in build/testenv, without fsync: the first starts it, the
// last one ends it (see package postgres). A database is a copy of a template
// that was migrated once; it is dropped when its test ends.
package testenv
