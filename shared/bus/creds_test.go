package bus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/broker"
	"github.com/sluicehq/sluice/shared/bus"
	"github.com/sluicehq/sluice/shared/bus/bustest"
	"github.com/sluicehq/sluice/shared/event"
)

// identity is a key pair of an operator, an account or a user.
func identity(t *testing.T, create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	t.Helper()
	pair, err := create()
	require.NoError(t, err)
	public, err := pair.PublicKey()
	require.NoError(t, err)
	return pair, public
}

// An operator's JWTs instead of bare keys: the user's token has the same subjects, and NATS_CREDS_FILE
// names the file.
func TestACredentialsFileDoesAsWell(t *testing.T) {
	t.Parallel()
	operator, operatorKey := identity(t, nkeys.CreateOperator)
	account, accountKey := identity(t, nkeys.CreateAccount)
	ofOperator, err := jwt.NewOperatorClaims(operatorKey).Encode(operator)
	require.NoError(t, err)
	claims := jwt.NewAccountClaims(accountKey)
	claims.Limits.DiskStorage, claims.Limits.MemoryStorage = jwt.NoLimit, jwt.NoLimit
	ofAccount, err := claims.Encode(operator)
	require.NoError(t, err)
	_, systemKey := identity(t, nkeys.CreateAccount)
	ofSystem, err := jwt.NewAccountClaims(systemKey).Encode(operator)
	require.NoError(t, err)
	dir := t.TempDir()
	conf := filepath.Join(dir, "nats.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil,
		"max_control_line: 64KB\noperator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {%s: %s, %s: %s}\n",
		ofOperator, systemKey, systemKey, ofSystem, accountKey, ofAccount), 0o600))
	srv, err := broker.Start(broker.Options{StoreDir: t.TempDir(), Port: -1, ConfigFile: conf, Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(srv.Stop)

	as := func(role string) *bus.Bus {
		user, userKey := identity(t, nkeys.CreateUser)
		token := jwt.NewUserClaims(userKey)
		for _, r := range bus.Roles {
			if r.Name == role {
				publish, subscribe := r.Permissions("")
				token.Pub.Allow.Add(publish...)
				token.Sub.Allow.Add(subscribe...)
			}
		}
		ofUser, err := token.Encode(account)
		require.NoError(t, err)
		seed, err := user.Seed()
		require.NoError(t, err)
		creds, err := jwt.FormatUserConfig(ofUser, seed)
		require.NoError(t, err)
		o := bustest.Options(t, srv.URL())
		o.Login = bus.Login{Role: role, CredsFile: filepath.Join(dir, role+".creds")}
		require.NoError(t, os.WriteFile(o.Login.CredsFile, creds, 0o600))
		b, err := bus.Connect(t.Context(), o)
		require.NoError(t, err)
		t.Cleanup(b.Close)
		require.NoError(t, b.Apply(t.Context()))
		return b
	}
	as("progress")
	as("converter")
	gateway := as("gateway")
	require.NoError(t, gateway.Publish(t.Context(), event.SyncRequested{RequestID: "r", SourceID: "docs", Mode: event.Full}))
}
