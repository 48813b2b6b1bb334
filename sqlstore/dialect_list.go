package sqlstore

// listSyntax is what differs between the databases in finding and listing.
type listSyntax interface {
	// emailIs compares email with an e-mail in lower case, through the index;
	// it may find more than it should.
	emailIs() string
	// contains is the condition that the column search has a text, folding the
	// case of ASCII letters at least; phoneContains, that its part before the
	// separator has digits.
	contains() string
	phoneContains() string
	// from is the table, to be read by the index contacts_list if that has all
	// that the conditions look at.
	from(reads width) string
	// hasTag is the condition that a contact has the tag.
	hasTag(tag string) (condition string, args []any)
	// attribute is a member of an attribute's value as text, and its argument.
	attribute(key, member string) (expression string, arg any)
	// number makes a number of an expression.
	number(expression string) string
}

type sqliteList struct{}

func (sqliteList) emailIs() string { return "email = ? COLLATE NOCASE AND email <> ''" }

func (sqliteList) contains() string { return "INSTR(search, ?) > 0" }

func (sqliteList) phoneContains() string {
	return "INSTR(search, ?) BETWEEN 1 AND INSTR(search, CHAR(31))"
}

// from says which index: for the order of the ids SQLite may choose that of the
// key, and with it the whole rows.
func (sqliteList) from(reads width) string {
	if reads <= readsColumns {
		return "{contacts} INDEXED BY {.contacts_list}"
	}
	return "{contacts}"
}

func (sqliteList) hasTag(tag string) (string, []any) { return tagInText(tag) }

func (sqliteList) attribute(key, member string) (string, any) {
	return "json_extract(attributes, ?)", jsonPath(key, member)
}

func (sqliteList) number(expression string) string { return "CAST(" + expression + " AS NUMERIC)" }

type postgresList struct{}

func (postgresList) emailIs() string { return "LOWER(email) = ? AND email <> ''" }

func (postgresList) contains() string { return "STRPOS(search, ?) > 0" }

func (postgresList) phoneContains() string {
	return "STRPOS(search, ?) BETWEEN 1 AND STRPOS(search, CHR(31))"
}

func (postgresList) from(width) string { return "{contacts}" }

func (postgresList) hasTag(tag string) (string, []any) {
	return "tags @> ?::jsonb", []any{tagsJSON([]string{tag})}
}

func (postgresList) attribute(key, member string) (string, any) {
	return "attributes -> ?::text ->> '" + member + "'", key
}

func (postgresList) number(expression string) string { return "CAST((" + expression + ") AS NUMERIC)" }

type mysqlList struct{}

func (mysqlList) emailIs() string { return "email = ?" }

// contains folds what it looks for as the column was folded.
func (mysqlList) contains() string {
	return "INSTR(search, CAST(LOWER(CONVERT(? USING utf8mb4) COLLATE utf8mb4_general_ci) AS BINARY)) > 0"
}

func (mysqlList) phoneContains() string {
	return "INSTR(search, ?) BETWEEN 1 AND INSTR(search, CHAR(31))"
}

// from says which index, for MariaDB and MySQL prefer to walk the whole rows.
func (mysqlList) from(reads width) string {
	if reads == readsSearch {
		return "{contacts} FORCE INDEX ({.contacts_list})"
	}
	return "{contacts}"
}

func (mysqlList) hasTag(tag string) (string, []any) { return tagInText(tag) }

func (mysqlList) attribute(key, member string) (string, any) {
	return "JSON_UNQUOTE(JSON_EXTRACT(attributes, ?))", jsonPath(key, member)
}

func (mysqlList) number(expression string) string {
	return "CAST(" + expression + " AS DECIMAL(38, 6))"
}

// tagInText finds a tag in the text of a JSON array. Inside a string a quote
// has a backslash before it, so [" and ," stand only where a string begins.
func tagInText(tag string) (string, []any) {
	quoted := string(appendJSON(nil, tag))
	return "(INSTR(tags, ?) > 0 OR INSTR(tags, ?) > 0)", []any{"[" + quoted, "," + quoted}
}

func jsonPath(key, member string) string { return `$."` + key + `".` + member }
