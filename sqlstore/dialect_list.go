package sqlstore

// listSyntax is what differs between the databases in finding and listing.
type listSyntax interface {
	// emailIs compares email with an e-mail in lower case, through the index;
	// it may find more than it should.
	emailIs() string
	// like compares a column with a pattern in lower case, folding the case of
	// ASCII letters at least.
	like(column string) string
	// hasTag is the condition that a contact has the tag.
	hasTag(tag string) (condition string, args []any)
	// attribute is a member of an attribute's value as text, and its argument.
	attribute(key, member string) (expression string, arg any)
	// number makes a number of an expression.
	number(expression string) string
	// orderKey is what to order by to get the order of customer ids.
	orderKey(searching bool) string
}

type sqliteList struct{}

func (sqliteList) emailIs() string { return "email = ? COLLATE NOCASE" }

func (sqliteList) like(column string) string { return column + " LIKE ? ESCAPE '!'" }

func (sqliteList) hasTag(tag string) (string, []any) { return tagInText(tag) }

func (sqliteList) attribute(key, member string) (string, any) {
	return "json_extract(attributes, ?)", jsonPath(key, member)
}

func (sqliteList) number(expression string) string { return "CAST(" + expression + " AS NUMERIC)" }

// orderKey keeps a search from walking the wide rows in the order wanted: the
// plus hides the column from the planner, which then reads the narrow index
// and sorts what it found.
func (sqliteList) orderKey(searching bool) string {
	if searching {
		return "+customer_id"
	}
	return "customer_id"
}

type postgresList struct{}

func (postgresList) emailIs() string { return "LOWER(email) = ? AND email <> ''" }

// like avoids ILIKE, which folds by the collation and is slower with UTF-8.
func (postgresList) like(column string) string {
	return "LOWER(" + column + ` COLLATE "C") LIKE ? ESCAPE '!'`
}

func (postgresList) hasTag(tag string) (string, []any) {
	return "tags @> ?::jsonb", []any{tagsJSON([]string{tag})}
}

func (postgresList) attribute(key, member string) (string, any) {
	return "attributes -> ?::text ->> '" + member + "'", key
}

func (postgresList) number(expression string) string { return "CAST((" + expression + ") AS NUMERIC)" }

func (postgresList) orderKey(bool) string { return "customer_id" }

type mysqlList struct{}

func (mysqlList) emailIs() string { return "email = ?" }

func (mysqlList) like(column string) string { return column + " LIKE ? ESCAPE '!'" }

func (mysqlList) hasTag(tag string) (string, []any) { return tagInText(tag) }

func (mysqlList) attribute(key, member string) (string, any) {
	return "JSON_UNQUOTE(JSON_EXTRACT(attributes, ?))", jsonPath(key, member)
}

func (mysqlList) number(expression string) string {
	return "CAST(" + expression + " AS DECIMAL(38, 6))"
}

func (mysqlList) orderKey(bool) string { return "customer_id" }

// tagInText finds a tag in the text of a JSON array. Inside a string a quote
// has a backslash before it, so [" and ," stand only where a string begins.
func tagInText(tag string) (string, []any) {
	quoted := string(appendJSON(nil, tag))
	return "(INSTR(tags, ?) > 0 OR INSTR(tags, ?) > 0)", []any{"[" + quoted, "," + quoted}
}

func jsonPath(key, member string) string { return `$."` + key + `".` + member }
