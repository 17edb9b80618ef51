package main

import (
	"testing"

	"cronium.dev/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
