package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"regexp"
	"strings"
	"testing"
)

type noConnector struct{}

func (noConnector) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("no driver") }
func (noConnector) Driver() driver.Driver                        { return nil }

func TestNewChecksItsArguments(t *testing.T) {
	db := sql.OpenDB(noConnector{})
	defer db.Close()
	key := testKey(t, "k1", 1)
	tests := map[string]struct {
		db      *sql.DB
		dialect Dialect
		options []Option
		ok      bool
	}{
		"plain":                {db, SQLite, nil, true},
		"no prefix":            {db, MySQL, []Option{WithTablePrefix("")}, true},
		"prefix":               {db, MySQL, []Option{WithTablePrefix("shop_1_")}, true},
		"schema":               {db, Postgres, []Option{WithSchema("user")}, true},
		"keys":                 {db, Postgres, []Option{WithEncryptionKeys(key, testKey(t, "k2", 1))}, true},
		"no database":          {nil, SQLite, nil, false},
		"unknown dialect":      {db, "oracle", nil, false},
		"prefix, upper case":   {db, SQLite, []Option{WithTablePrefix("Shop_")}, false},
		"prefix, injection":    {db, SQLite, []Option{WithTablePrefix("x; DROP TABLE y --")}, false},
		"prefix, newline":      {db, SQLite, []Option{WithTablePrefix("x\n")}, false},
		"prefix, digit first":  {db, SQLite, []Option{WithTablePrefix("1x")}, false},
		"prefix, too long":     {db, SQLite, []Option{WithTablePrefix(strings.Repeat("x", 33))}, false},
		"schema, quote":        {db, Postgres, []Option{WithSchema(`a"b`)}, false},
		"schema, empty":        {db, Postgres, []Option{WithSchema("")}, false},
		"schema, not Postgres": {db, SQLite, []Option{WithSchema("a")}, false},
		"zero key":             {db, SQLite, []Option{WithEncryptionKeys(EncryptionKey{})}, false},
		"two keys of one id":   {db, SQLite, []Option{WithEncryptionKeys(key, key)}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(tt.db, tt.dialect, tt.options...)
			if (err == nil) != tt.ok {
				t.Errorf("New: %v, want success: %t", err, tt.ok)
			}
		})
	}
}

func TestMigrationsText(t *testing.T) {
	left := regexp.MustCompile(`\{\.?[a-z_]+\}`)
	for _, d := range []Dialect{SQLite, Postgres, MySQL} {
		steps, err := Migrations(d, WithTablePrefix("crm_"))
		if err != nil || len(steps) == 0 {
			t.Fatalf("%s: %d migrations, %v", d, len(steps), err)
		}
		for i, step := range steps {
			if step.Version != i+1 || step.Name == "" {
				t.Errorf("%s: migration %d is version %d, %q", d, i, step.Version, step.Name)
			}
			if token := left.FindString(step.SQL); token != "" {
				t.Errorf("%s: %s was not replaced", d, token)
			}
			if n, ends := len(step.statements()), strings.Count(step.SQL, ";\n"); n != ends || n == 0 {
				t.Errorf("%s: migration %d has %d statements, and %d end a line", d, i+1, n, ends)
			}
		}
		if !strings.Contains(steps[0].SQL, " crm_contacts ") {
			t.Errorf("%s: no table crm_contacts", d)
		}
	}
	steps, err := Migrations(Postgres, WithSchema("user"))
	if err != nil || !strings.Contains(steps[0].SQL, `"user".shopifysync_contacts `) || !strings.Contains(steps[0].SQL, "CREATE INDEX shopifysync_contacts_email ") {
		t.Errorf("schema: %v, %s", err, steps[0].SQL)
	}
}

func TestSQLTemplates(t *testing.T) {
	ins := insertion{
		table:   "{marks}",
		columns: []column{{"customer_id", bigint}, {"tags", jsonb}, {"spent", numeric}},
		update:  []assignment{{"spent", "CASE WHEN new.spent > old.spent THEN new.spent ELSE old.spent END"}},
	}
	wantSQLite := "INSERT INTO {marks} AS old (connection_id, customer_id, tags, spent) VALUES (?, ?, ?, ?)" +
		" ON CONFLICT (connection_id, customer_id) DO UPDATE SET spent = CASE WHEN excluded.spent > old.spent THEN excluded.spent ELSE old.spent END"
	if got := ins.sqliteTemplate(); got != wantSQLite {
		t.Errorf("SQLite: %s", got)
	}
	wantPostgres := "INSERT INTO {marks} AS old (connection_id, customer_id, tags, spent) SELECT ?::text, u.customer_id, u.tags::jsonb, u.spent" +
		" FROM unnest(?::bigint[], ?::text[], ?::numeric[]) AS u (customer_id, tags, spent)" +
		" ON CONFLICT (connection_id, customer_id) DO UPDATE SET spent = CASE WHEN excluded.spent > old.spent THEN excluded.spent ELSE old.spent END"
	if got := ins.postgresTemplate(); got != wantPostgres {
		t.Errorf("Postgres: %s", got)
	}
	head, row, tail := ins.mysqlTemplate()
	wantMySQL := "INSERT INTO {marks} (connection_id, customer_id, tags, spent) VALUES (?, ?, ?, ?)" +
		" ON DUPLICATE KEY UPDATE spent = CASE WHEN VALUES(spent) > spent THEN VALUES(spent) ELSE spent END"
	if got := head + row + tail; got != wantMySQL {
		t.Errorf("MySQL: %s", got)
	}
}

func TestArrayLiteral(t *testing.T) {
	cells := []any{int64(-7), `a"b\c`, nil, int64(8), "", "1.5"}
	for i, want := range []string{`{-7,8}`, `{"a\"b\\c",""}`, `{NULL,"1.5"}`} {
		if got := arrayLiteral(cells, i, 3); got != want {
			t.Errorf("column %d: %s, want %s", i, got, want)
		}
	}
}
