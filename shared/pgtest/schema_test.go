package pgtest

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// An incomplete dump would make other tests pass wrongly.
func TestTheSchemaShowsEveryChange(t *testing.T) {
	address := URL(t)
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	do := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	empty, err := Schema(t.Context(), address)
	require.NoError(t, err)
	require.Empty(t, empty)

	do(`CREATE TYPE mood AS ENUM ('good');
		CREATE TABLE a (id int PRIMARY KEY, word text, mood mood);
		CREATE TABLE b (a int REFERENCES a);
		CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
		CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();
		CREATE POLICY p ON a USING (true)`)
	last, err := Schema(t.Context(), address)
	require.NoError(t, err)
	for _, change := range []string{
		`ALTER TYPE mood ADD VALUE 'bad'`,
		`ALTER TABLE a ADD COLUMN more int`,
		`ALTER TABLE a ADD COLUMN twice int GENERATED ALWAYS AS (id * 2) STORED`,
		`ALTER TABLE a DROP COLUMN twice`,
		`ALTER TABLE a ADD COLUMN no bigint GENERATED ALWAYS AS IDENTITY`,
		`ALTER TABLE a ALTER COLUMN word TYPE varchar(9)`,
		`ALTER TABLE a ALTER COLUMN word SET DEFAULT 'x'`,
		`ALTER TABLE a ALTER COLUMN word SET NOT NULL`,
		`ALTER TABLE a ALTER COLUMN word SET STORAGE external`,
		`ALTER TABLE a ADD CHECK (id > 0)`,
		`ALTER TABLE b DROP CONSTRAINT b_a_fkey, ADD CONSTRAINT b_a_fkey FOREIGN KEY (a) REFERENCES a ON DELETE CASCADE`,
		`CREATE INDEX i ON a (word)`,
		`DROP INDEX i; CREATE INDEX i ON a (word) WHERE id > 1`,
		`COMMENT ON TABLE a IS 'x'`,
		`COMMENT ON COLUMN a.word IS 'x'`,
		`COMMENT ON INDEX i IS 'x'`,
		`COMMENT ON FUNCTION f IS 'x'`,
		`CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`,
		`ALTER TABLE a DISABLE TRIGGER t`,
		`ALTER TABLE a ENABLE ROW LEVEL SECURITY`,
		`ALTER POLICY p ON a USING (id > 0)`,
		`ALTER POLICY p ON a WITH CHECK (id > 1)`,
		`GRANT SELECT ON a TO PUBLIC`,
		`GRANT UPDATE (word) ON a TO PUBLIC`,
		`CREATE VIEW v AS SELECT id FROM a`,
		`CREATE SEQUENCE s`,
		`CREATE SCHEMA x CREATE TABLE y ()`,
	} {
		do(change)
		now, err := Schema(t.Context(), address)
		require.NoError(t, err)
		require.NotEqual(t, last, now, change)
		last = now
	}
	do(`INSERT INTO a (id, word) VALUES (3, 'x')`)
	now, err := Schema(t.Context(), address)
	require.NoError(t, err)
	require.Equal(t, last, now, "rows are no schema")
}
