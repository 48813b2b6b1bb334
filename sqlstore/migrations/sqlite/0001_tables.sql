-- One row a contact, and nothing else is written for one. Tags and attributes
-- are JSON in that row: side tables would multiply the rows written by 5 to 20.
-- What a user interface filters and sorts by (orders, amount spent, consents)
-- stands in typed columns beside them; "attributes" stays the exact truth.
--
-- Times are milliseconds since 1970 in UTC. connection_id is compared byte for
-- byte. removed is '' for a live contact; a tombstone keeps its key, version
-- and reason, and the defaults for all else. masked is a bit set: the fields
-- never seen. content_hash tells whether the content changed without reading it.
CREATE TABLE {contacts} (
	connection_id      TEXT    NOT NULL,
	customer_id        INTEGER NOT NULL,
	updated_at         INTEGER NOT NULL, -- version: the customer's updatedAt
	observed_at        INTEGER NOT NULL, -- version: when Shopify was read
	content_hash       TEXT    NOT NULL,
	removed            TEXT    NOT NULL DEFAULT '',
	merged_into        INTEGER NOT NULL DEFAULT 0,
	masked             INTEGER NOT NULL DEFAULT 0,
	name               TEXT    NOT NULL DEFAULT '',
	first_name         TEXT    NOT NULL DEFAULT '',
	last_name          TEXT    NOT NULL DEFAULT '',
	email              TEXT    NOT NULL DEFAULT '',
	phone              TEXT    NOT NULL DEFAULT '',
	phone_source       TEXT    NOT NULL DEFAULT '',
	whatsapp_account   TEXT    NOT NULL DEFAULT '',
	whatsapp_user_id   TEXT    NOT NULL DEFAULT '',
	whatsapp_name      TEXT    NOT NULL DEFAULT '',
	orders_count       NUMERIC,
	total_spent        NUMERIC,
	total_spent_currency TEXT  NOT NULL DEFAULT '',
	email_consent      TEXT    NOT NULL DEFAULT '',
	sms_consent        TEXT    NOT NULL DEFAULT '',
	tags               TEXT    NOT NULL DEFAULT '[]', -- ["gold","vip"]
	attributes         TEXT    NOT NULL DEFAULT '{}', -- {"shopify.orders_count":{"number":"3"}}
	PRIMARY KEY (connection_id, customer_id)
);

-- Finds by e-mail; and holds all that a search looks at, so that one reads
-- this index and not the wide rows. NOCASE folds ASCII letters only.
CREATE INDEX {.contacts_search} ON {contacts} (connection_id, email COLLATE NOCASE, name, phone, customer_id)
	WHERE removed = '';
CREATE INDEX {.contacts_phone} ON {contacts} (connection_id, phone) WHERE phone <> '';
CREATE INDEX {.contacts_whatsapp} ON {contacts} (connection_id, whatsapp_account, whatsapp_user_id)
	WHERE whatsapp_user_id <> '';

-- A WhatsApp contact is what live contacts link to: one per account and user
-- id, however many customers share it. As a view it can never be orphaned.
CREATE VIEW {whatsapp_contacts} AS
	SELECT connection_id, whatsapp_account AS account, whatsapp_user_id AS user_id,
		MAX(whatsapp_name) AS name, COUNT(*) AS customers
	FROM {contacts}
	WHERE whatsapp_user_id <> ''
	GROUP BY connection_id, whatsapp_account, whatsapp_user_id;

CREATE TABLE {marks} (
	connection_id TEXT    NOT NULL,
	customer_id   INTEGER NOT NULL,
	generation    INTEGER NOT NULL,
	not_before    INTEGER NOT NULL,
	attempts      INTEGER NOT NULL,
	reason        TEXT    NOT NULL,
	floor         INTEGER NOT NULL,
	merged_into   INTEGER NOT NULL,
	PRIMARY KEY (connection_id, customer_id)
) WITHOUT ROWID;

CREATE TABLE {leases} (
	connection_id TEXT    NOT NULL,
	kind          TEXT    NOT NULL,
	epoch         INTEGER NOT NULL,
	owner         TEXT    NOT NULL,
	expires_at    INTEGER NOT NULL, -- by the database's clock
	PRIMARY KEY (connection_id, kind)
) WITHOUT ROWID;

CREATE TABLE {runs} (
	connection_id TEXT    NOT NULL,
	run_id        TEXT    NOT NULL,
	state         TEXT    NOT NULL,
	started_at    INTEGER NOT NULL,
	updated_at    INTEGER NOT NULL,
	report        TEXT    NOT NULL, -- JSON
	progress      TEXT    NOT NULL, -- JSON
	checkpoint    BLOB    NOT NULL,
	error         TEXT    NOT NULL,
	PRIMARY KEY (connection_id, run_id)
);
CREATE INDEX {.runs_started} ON {runs} (connection_id, started_at);

CREATE TABLE {connections} (
	connection_id          TEXT NOT NULL PRIMARY KEY,
	shop                   TEXT NOT NULL,
	api_version            TEXT NOT NULL,
	client_id              TEXT NOT NULL,
	access_token           TEXT NOT NULL, -- sealed; '' if there is none
	client_secret          TEXT NOT NULL, -- sealed
	previous_client_secret TEXT NOT NULL, -- sealed
	whatsapp_account       TEXT NOT NULL, -- '' without WhatsApp settings
	whatsapp_country       TEXT NOT NULL,
	labels                 TEXT NOT NULL  -- JSON
);
CREATE INDEX {.connections_shop} ON {connections} (shop);
