package conformance_test

import (
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

func reference(testing.TB) backend.Backend { return conformance.Reference() }

func TestReference(t *testing.T) { conformance.Test(t, reference) }

func TestReferenceLong(t *testing.T) { conformance.Long(t, reference, 20) }
