-- What the library remembers of a connection, as JSON, and which save that was.
CREATE TABLE IF NOT EXISTS {connection_states} (
	connection_id VARBINARY(255) NOT NULL PRIMARY KEY,
	revision      BIGINT NOT NULL,
	state         MEDIUMTEXT NOT NULL -- JSON
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The first mark due of each connection, without a look at the others. MySQL
-- knows no IF NOT EXISTS here: Store.Migrate passes over an index or a column
-- that is there already, from a migration that was cut off.
CREATE INDEX {.marks_due} ON {marks} (connection_id, not_before);

ALTER TABLE {connections} ADD COLUMN whatsapp_policy VARBINARY(255) NOT NULL DEFAULT '';
