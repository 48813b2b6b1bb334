package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/omnichat/shopifysync/internal/adminapi/v2026_07"
	"github.com/omnichat/shopifysync/internal/bulk"
	"github.com/omnichat/shopifysync/internal/integration/dbtest"
	"github.com/omnichat/shopifysync/sqlstore"
)

// readLines reads the bulk file as a run does and gives each line to take.
func (w *world) readLines(ctx context.Context, take func(line []byte) error) (lap, error) {
	watch := startWatch()
	file, err := bulk.Open(ctx, bulk.OpenParams{URL: "https://" + fileHost + "/file", HTTPClient: w.client()})
	if err != nil {
		return lap{}, err
	}
	defer file.Close()
	for {
		line, err := file.Next()
		if errors.Is(err, io.EOF) {
			return watch.lap(), nil
		}
		if err == nil {
			err = take(line)
		}
		if err != nil {
			return lap{}, err
		}
	}
}

func pass([]byte) error { return nil }

func decode(line []byte) error {
	var c v2026_07.Customer
	_, err := bulk.Decode(line, &c)
	return err
}

func decodeByJSON(line []byte) error {
	var c v2026_07.Customer
	return json.Unmarshal(line, &c)
}

// insertRows copies the contacts of one SQLite database into the empty, indexed
// table of another by plain prepared inserts in one transaction: the least that
// a first load costs. Reading the rows is not counted.
func insertRows(ctx context.Context, from, to *sql.DB) (took lap, err error) {
	const table = sqlstore.DefaultTablePrefix + "contacts"
	names, err := dbtest.WrittenColumns(ctx, from, table)
	if err != nil {
		return took, err
	}
	rows, err := from.QueryContext(ctx, "SELECT "+names+" FROM "+table+" ORDER BY connection_id, customer_id")
	if err != nil {
		return took, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return took, err
	}
	watch := startWatch()
	tx, err := to.BeginTx(ctx, nil)
	if err != nil {
		return took, err
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, "INSERT INTO "+table+" ("+names+") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")")
	if err != nil {
		return took, err
	}
	defer insert.Close()
	took = watch.lap()
	for {
		chunk, err := nextRows(rows, len(columns), 5000)
		if err != nil {
			return took, err
		}
		watch = startWatch()
		if len(chunk) == 0 {
			err := tx.Commit()
			return took.plus(watch.lap()), err
		}
		for _, row := range chunk {
			if _, err := insert.ExecContext(ctx, row...); err != nil {
				return took, err
			}
		}
		took = took.plus(watch.lap())
	}
}

func nextRows(rows *sql.Rows, columns, n int) ([][]any, error) {
	var chunk [][]any
	for len(chunk) < n && rows.Next() {
		row, into := make([]any, columns), make([]any, columns)
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		chunk = append(chunk, row)
	}
	return chunk, rows.Err()
}
