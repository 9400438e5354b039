package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/nats-io/nats.go"
)

// Login is how a service authenticates to the broker, and the broker to the service. Every field may be
// empty: then there is no authentication.
type Login struct {
	Role      string // the credential's role; see Roles
	CredsFile string // a credentials file (JWT and seed)
	NkeyFile  string // a file with the seed of an nkey
	CAFile    string // CA certificates for the broker's certificate, instead of the system's
	CertFile  string // this client's own certificate, with KeyFile
	KeyFile   string
}

// limited reports whether the broker limits the service to its role's permissions.
func (l Login) limited() bool { return l.CredsFile != "" || l.NkeyFile != "" }

// options reads the files at once, so that a wrong path is told at the start and not at the
// first reconnect.
func (l Login) options(p Prefix) ([]nats.Option, error) {
	var opts []nats.Option
	for name, file := range map[string]string{"NATS_CREDS_FILE": l.CredsFile, "NATS_NKEY_FILE": l.NkeyFile} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	if l.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(l.CredsFile))
	}
	if l.NkeyFile != "" {
		o, err := nats.NkeyOptionFromSeed(l.NkeyFile)
		if err != nil {
			return nil, fmt.Errorf("read NATS_NKEY_FILE %s: %w", l.NkeyFile, err)
		}
		opts = append(opts, o)
	}
	if l.limited() {
		opts = append(opts, nats.CustomInboxPrefix(p.inbox(l.Role)))
	}
	if l.CAFile != "" {
		opts = append(opts, nats.RootCAs(l.CAFile))
	}
	if l.CertFile != "" {
		opts = append(opts, nats.ClientCert(l.CertFile, l.KeyFile))
	}
	return opts, nil
}

// complaint returns err if it says that one side rejects the other's certificate, which waiting does not
// fix. It returns errHungUp if err may mean that, and nil for any other error.
func complaint(err error) error {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var remote *net.OpError // the server's rejection of this client's certificate
	switch {
	case errors.As(err, &remote) && remote.Op == "remote error",
		errors.As(err, &verify), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return err
	case errors.Is(err, nats.ErrTLS) && (errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)):
		return fmt.Errorf("%w: %w", errHungUp, err)
	default:
		return nil
	}
}
