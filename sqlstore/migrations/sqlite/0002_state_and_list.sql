-- What the library remembers of a connection, as JSON, and which save that was.
CREATE TABLE {connection_states} (
	connection_id TEXT    NOT NULL PRIMARY KEY,
	revision      INTEGER NOT NULL,
	state         TEXT    NOT NULL -- JSON
) WITHOUT ROWID;

-- The first mark due of each connection, without a look at the others.
CREATE INDEX {.marks_due} ON {marks} (connection_id, not_before);

ALTER TABLE {connections} ADD COLUMN whatsapp_policy TEXT NOT NULL DEFAULT '';

-- What Store.List searches, in lower case, by member number, so that a search
-- reads this index and not the wide rows. The phone comes first, to be found
-- apart from the rest. LOWER folds ASCII letters only.
ALTER TABLE {contacts} ADD COLUMN search TEXT
	AS (SUBSTR(LOWER(phone || CHAR(31) || name || CHAR(31) || email), 1, 560));
CREATE INDEX {.contacts_list} ON {contacts} (connection_id, customer_id, search) WHERE removed = '';

-- Finds by e-mail, which the index before did beside the searching.
DROP INDEX {.contacts_search};
CREATE INDEX {.contacts_email} ON {contacts} (connection_id, email COLLATE NOCASE) WHERE email <> '';
