package serve

import (
	"strings"
	"testing"
)

func TestListen(t *testing.T) {
	l, host, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if url := URL(l, host); url != "http://"+l.Addr().String()+"/" || host != "" || Public(l) {
		t.Errorf("%s has the address %s and the name %q; others reach it: %v", l.Addr(), url, host, Public(l))
	}
	for address, part := range map[string]string{
		l.Addr().String(): "in use", "127.0.0.1": "host and a port", "": "host and a port", "127.0.0.1:http": "host and a port", "127.0.0.1:65536": "host and a port",
		"127.0.0.1:-1": "host and a port", "192.0.2.1:0": "assign", "::1:0": "host and a port",
	} {
		if l, _, err := Listen(address); err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "listen="+address) {
			t.Errorf("%q: %v, expected an error that tells %q", address, err, part)
			if l != nil {
				l.Close()
			}
		}
	}
	named, host, err := Listen("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	if url := URL(named, host); !strings.HasPrefix(url, "http://localhost:") || host != "localhost" {
		t.Errorf("%s has the address %s and the name %q", named.Addr(), url, host)
	}
	all, host, err := Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	if url := URL(all, host); !strings.HasPrefix(url, "http://localhost:") || !Public(all) {
		t.Errorf("%s has the address %s; others reach it: %v", all.Addr(), url, Public(all))
	}
}
