-- What the library remembers of a connection, as JSON, and which save that was.
CREATE TABLE IF NOT EXISTS {connection_states} (
	connection_id VARBINARY(255) NOT NULL PRIMARY KEY,
	revision      BIGINT NOT NULL,
	state         MEDIUMTEXT NOT NULL -- JSON
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The first mark due of each connection, without a look at the others. MySQL
-- knows no IF NOT EXISTS for indexes and columns: Store.Migrate passes over one
-- that is there already, from a migration that was cut off.
CREATE INDEX {.marks_due} ON {marks} (connection_id, not_before);

ALTER TABLE {connections} ADD COLUMN whatsapp_policy VARBINARY(255) NOT NULL DEFAULT '';

-- What Store.List searches, in lower case, by member number, so that a search
-- reads this index and not the wide rows. The phone comes first, to be found
-- apart from the rest. Bytes, for the collations of text compare slowly. 560
-- characters, for an index takes no row of more than 3,072 bytes.
ALTER TABLE {contacts} ADD COLUMN search VARBINARY(2240)
	AS (CAST(LEFT(LOWER(CONCAT(phone, CHAR(31 USING utf8mb4), name, CHAR(31 USING utf8mb4), email) COLLATE utf8mb4_general_ci), 560) AS BINARY)) STORED;
CREATE INDEX {.contacts_list} ON {contacts} (connection_id, removed, customer_id, search);
