-- What the library remembers of a connection, as JSON, and which save that was.
CREATE TABLE {connection_states} (
	connection_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	revision      BIGINT NOT NULL,
	state         TEXT   NOT NULL -- JSON
);

-- The first mark due of each connection, without a look at the others.
CREATE INDEX {.marks_due} ON {marks} (connection_id, not_before);

ALTER TABLE {connections} ADD COLUMN whatsapp_policy TEXT NOT NULL DEFAULT '';
