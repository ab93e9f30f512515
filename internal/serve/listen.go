package serve

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"caldera/inspect"
	"caldera/internal/setting"
)

// Listen listens on an address, a host and a port with a colon between. Port 0 stands
// for one that is free. host is the part of the address that is a name, for
// [Options].Host. The error of an address that is none is a [inspect.UserError].
func Listen(address string) (l net.Listener, host string, err error) {
	host, port, err := net.SplitHostPort(address)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return nil, "", inspect.UserError{Err: setting.Errorf("{listen=%s}: expected a host and a port, 0 to 65535, such as 127.0.0.1:8413, or port 0 for one that is free", address)}
	}
	l, err = net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, "", setting.Errorf("{listen=%s}: the port is in use, perhaps by another server of this kind: end that, or choose another port, such as 0 for one that is free", address)
	case err != nil:
		return nil, "", setting.Errorf("{listen=%s}: %v", address, reason(err))
	}
	if net.ParseIP(host) != nil {
		host = ""
	}
	return l, host, nil
}

// reason is an error of the network without the call and the address.
func reason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// URL is the address of the page, for a browser on this machine.
func URL(l net.Listener, host string) string {
	addr := l.Addr().(*net.TCPAddr)
	if host == "" {
		host = addr.IP.String()
		if addr.IP.IsUnspecified() {
			host = "localhost"
		}
	}
	return fmt.Sprintf("http://%s/", net.JoinHostPort(host, strconv.Itoa(addr.Port)))
}

// Public reports whether other machines can reach the server.
func Public(l net.Listener) bool { return !l.Addr().(*net.TCPAddr).IP.IsLoopback() }
