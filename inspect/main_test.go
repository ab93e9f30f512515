package inspect_test

import (
	"os"
	"testing"

	"caldera/internal/devicetest"
)

func TestMain(m *testing.M) { os.Exit(devicetest.Main(m)) }
