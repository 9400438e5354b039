package pg

import (
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// keptRows are rows in memory: whoever reads them does not hold up the connection.
type keptRows struct {
	fields []pgconn.FieldDescription
	values [][][]byte
	tag    pgconn.CommandTag
	types  *pgtype.Map
	at     int // 1 in the first row
	err    error
}

var _ pgx.Rows = (*keptRows)(nil)

// keep reads rows to their end.
func keep(rows pgx.Rows, err error) *keptRows {
	k := &keptRows{err: err}
	if err != nil {
		return k
	}
	defer rows.Close()
	for rows.Next() {
		row := make([][]byte, len(rows.RawValues()))
		for i, raw := range rows.RawValues() { // they are overwritten by those of the next row
			row[i] = slices.Clone(raw)
		}
		k.values = append(k.values, row)
	}
	k.fields, k.tag, k.err = slices.Clone(rows.FieldDescriptions()), rows.CommandTag(), rows.Err()
	return k
}

// again returns the same rows from the start.
func (k *keptRows) again() *keptRows {
	return &keptRows{fields: k.fields, values: k.values, tag: k.tag, err: k.err, types: pgtype.NewMap()}
}

func (k *keptRows) Close()                                       { k.at = len(k.values) + 1 }
func (k *keptRows) Err() error                                   { return k.err }
func (k *keptRows) CommandTag() pgconn.CommandTag                { return k.tag }
func (k *keptRows) FieldDescriptions() []pgconn.FieldDescription { return k.fields }
func (k *keptRows) Conn() *pgx.Conn                              { return nil }
func (k *keptRows) TypeMap() *pgtype.Map                         { return k.types }

func (k *keptRows) Next() bool {
	if k.err != nil || k.at >= len(k.values) {
		k.Close()
		return false
	}
	k.at++
	return true
}

var errNoRow = errors.New("there is no row to read")

func (k *keptRows) RawValues() [][]byte {
	if k.at < 1 || k.at > len(k.values) {
		return nil
	}
	return k.values[k.at-1]
}

func (k *keptRows) Scan(dest ...any) error {
	raw := k.RawValues()
	if raw == nil {
		return errNoRow
	}
	if len(dest) == 1 {
		if whole, ok := dest[0].(pgx.RowScanner); ok {
			return whole.ScanRow(k)
		}
	}
	err := pgx.ScanRow(k.types, k.fields, raw, dest...)
	if err != nil {
		k.err = err
		k.Close()
	}
	return err
}

func (k *keptRows) Values() ([]any, error) {
	raw := k.RawValues()
	if raw == nil {
		return nil, errNoRow
	}
	values := make([]any, len(raw))
	for i, f := range k.fields {
		if raw[i] == nil {
			continue
		}
		t, ok := k.types.TypeForOID(f.DataTypeOID)
		if !ok {
			values[i] = string(raw[i])
			continue
		}
		v, err := t.Codec.DecodeValue(k.types, f.DataTypeOID, f.Format, raw[i])
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// firstRow is the first of some rows.
type firstRow struct{ rows *keptRows }

func (f firstRow) Scan(dest ...any) error {
	if f.rows.err != nil {
		return f.rows.err
	}
	if !f.rows.Next() {
		return pgx.ErrNoRows
	}
	return f.rows.Scan(dest...)
}
