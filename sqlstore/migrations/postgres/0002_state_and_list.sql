-- What the library remembers of a connection, as JSON, and which save that was.
CREATE TABLE {connection_states} (
	connection_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	revision      BIGINT NOT NULL,
	state         TEXT   NOT NULL -- JSON
);

-- The first mark due of each connection, without a look at the others.
CREATE INDEX {.marks_due} ON {marks} (connection_id, not_before);

ALTER TABLE {connections} ADD COLUMN whatsapp_policy TEXT NOT NULL DEFAULT '';

-- What Store.List searches, in lower case, by member number, so that a search
-- reads this index and not the wide rows. The phone comes first, to be found
-- apart from the rest. LOWER with the collation "C" folds ASCII letters only.
-- 560 characters, for an index takes no row of more than 2,704 bytes.
ALTER TABLE {contacts} ADD COLUMN search TEXT COLLATE "C"
	GENERATED ALWAYS AS (LEFT(LOWER((phone || CHR(31) || name || CHR(31) || email) COLLATE "C"), 560)) STORED;
CREATE INDEX {.contacts_list} ON {contacts} (connection_id, customer_id) INCLUDE (search) WHERE removed = '';
