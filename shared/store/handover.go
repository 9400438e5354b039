package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// ownerRole owns the embedded database, and is what every command works as there.
const ownerRole = "sluice_owner"

// superuserOnly are the extensions that Sluice uses and that the owner of a database may not always
// create.
var superuserOnly = []string{"vector"}

// HandOver takes the address of a Postgres server of our own, with the superuser's login, and gives the
// database to a role that is no superuser: one that reads no files, runs no programs and sees no other
// database. It returns the address for that role, whose password is a new one each time. What the
// superuser owns in the database, as in one of an earlier release, is the role's afterwards; nothing is
// copied. The extensions that only a superuser may create are created before.
func HandOver(ctx context.Context, superuser string) (string, error) {
	u, err := url.Parse(superuser)
	if err != nil {
		return "", errors.New("hand the database over: its address is no URL")
	}
	conn, err := pgx.Connect(ctx, superuser)
	if err != nil {
		return "", fmt.Errorf("hand the database over: %w", err)
	}
	defer conn.Close(ctx)
	password := rand.Text()
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return handOver(ctx, tx, password) }); err != nil {
		return "", fmt.Errorf("hand the database over to %s: %w", ownerRole, err)
	}
	u.User = url.UserPassword(ownerRole, password)
	return u.String(), nil
}

func handOver(ctx context.Context, tx pgx.Tx, password string) error {
	for _, name := range superuserOnly {
		var there bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)`, name).Scan(&there)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		if _, err := tx.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS "+name); err != nil {
			return fmt.Errorf("create the extension %s: %w", name, err)
		}
	}
	if _, err := tx.Exec(ctx, makeOwner); err != nil {
		return err
	}
	// No statement takes a role's password as a parameter; rand.Text has letters and digits only.
	_, err := tx.Exec(ctx, `ALTER ROLE `+ownerRole+` LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '`+password+`'`)
	return err
}

// makeOwner makes the role and gives it what the superuser has made here. REASSIGN OWNED refuses to
// take anything from the superuser of initdb. Members of extensions stay, and what belongs to another
// object (a serial's sequence, a table's row type) goes with it.
const makeOwner = `DO $$
DECLARE
	o record;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '` + ownerRole + `') THEN
		CREATE ROLE ` + ownerRole + `;
	END IF;
	EXECUTE format('ALTER DATABASE %I OWNER TO ` + ownerRole + `', current_database());
	IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'public' AND nspowner = current_user::regrole) THEN
		ALTER SCHEMA public OWNER TO pg_database_owner; -- as new databases have it since Postgres 15
	END IF;
	FOR o IN
		SELECT i.type, i.identity
		FROM (
			SELECT 'pg_namespace'::regclass AS class, oid, nspowner AS owner FROM pg_namespace
			UNION ALL SELECT 'pg_class'::regclass, oid, relowner FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
			UNION ALL SELECT 'pg_type'::regclass, t.oid, typowner FROM pg_type t LEFT JOIN pg_class c ON c.oid = typrelid
				WHERE typtype IN ('d', 'e', 'r') OR c.relkind = 'c'
			UNION ALL SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc
			UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner FROM pg_operator
			UNION ALL SELECT 'pg_collation'::regclass, oid, collowner FROM pg_collation
			UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgowner FROM pg_ts_config
			UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictowner FROM pg_ts_dict
			UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxowner FROM pg_statistic_ext
		) owned, pg_identify_object(class, owned.oid, 0) i
		WHERE owner = current_user::regrole AND owned.oid >= 16384 -- what initdb has made is below
			AND NOT EXISTS (
				SELECT FROM pg_depend d
				WHERE d.classid = class AND d.objid = owned.oid AND d.objsubid = 0
					AND (d.deptype IN ('e', 'i') OR d.deptype = 'a' AND i.type = 'sequence'))
	LOOP
		EXECUTE format('ALTER %s %s OWNER TO ` + ownerRole + `', replace(o.type, 'statistics object', 'statistics'), o.identity);
	END LOOP;
END
$$`
