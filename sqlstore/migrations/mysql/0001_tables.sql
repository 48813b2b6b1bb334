-- One row a contact, and nothing else is written for one. Tags and attributes
-- are JSON in that row: side tables would multiply the rows written by 5 to 20.
-- What a user interface filters and sorts by (orders, amount spent, consents)
-- stands in typed columns beside them; "attributes" stays the exact truth.
--
-- Times are milliseconds since 1970 in UTC. Keys are VARBINARY, compared byte
-- for byte; utf8mb4_bin would ignore trailing spaces. removed is '' for a live
-- contact; a tombstone keeps its key, version and reason, and the defaults for
-- all else. masked is a bit set: the fields never seen. content_hash tells
-- whether the content changed without reading it.
--
-- Every statement may be repeated: DDL cannot be rolled back here.
CREATE TABLE IF NOT EXISTS {contacts} (
	connection_id      VARBINARY(255) NOT NULL,
	customer_id        BIGINT NOT NULL,
	updated_at         BIGINT NOT NULL, -- version: the customer's updatedAt
	observed_at        BIGINT NOT NULL, -- version: when Shopify was read
	content_hash       VARBINARY(32) NOT NULL,
	removed            VARBINARY(32) NOT NULL DEFAULT '',
	merged_into        BIGINT NOT NULL DEFAULT 0,
	masked             BIGINT NOT NULL DEFAULT 0,
	name               VARCHAR(512) NOT NULL DEFAULT '',
	first_name         VARCHAR(512) NOT NULL DEFAULT '',
	last_name          VARCHAR(512) NOT NULL DEFAULT '',
	email              VARCHAR(512) NOT NULL DEFAULT '',
	phone              VARCHAR(512) COLLATE utf8mb4_bin NOT NULL DEFAULT '',
	phone_source       VARBINARY(255) NOT NULL DEFAULT '',
	whatsapp_account   VARBINARY(255) NOT NULL DEFAULT '',
	whatsapp_user_id   VARBINARY(255) NOT NULL DEFAULT '',
	whatsapp_name      VARCHAR(512) NOT NULL DEFAULT '',
	orders_count       DECIMAL(38, 6),
	total_spent        DECIMAL(38, 6),
	total_spent_currency VARBINARY(255) NOT NULL DEFAULT '',
	email_consent      VARBINARY(255) NOT NULL DEFAULT '',
	sms_consent        VARBINARY(255) NOT NULL DEFAULT '',
	tags               MEDIUMTEXT COLLATE utf8mb4_bin, -- ["gold","vip"]; NULL if none
	attributes         MEDIUMTEXT COLLATE utf8mb4_bin, -- {"shopify.orders_count":{"number":"3"}}; NULL if none
	PRIMARY KEY (connection_id, customer_id),
	-- email has a collation that folds case, and more: what it finds is compared again.
	INDEX {.contacts_email} (connection_id, email),
	INDEX {.contacts_phone} (connection_id, phone),
	INDEX {.contacts_whatsapp} (connection_id, whatsapp_account, whatsapp_user_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;

-- A WhatsApp contact is what live contacts link to: one per account and user
-- id, however many customers share it. As a view it can never be orphaned.
CREATE OR REPLACE VIEW {whatsapp_contacts} AS
	SELECT connection_id, whatsapp_account AS account, whatsapp_user_id AS user_id,
		MAX(whatsapp_name) AS name, COUNT(*) AS customers
	FROM {contacts}
	WHERE whatsapp_user_id <> ''
	GROUP BY connection_id, whatsapp_account, whatsapp_user_id;

CREATE TABLE IF NOT EXISTS {marks} (
	connection_id VARBINARY(255) NOT NULL,
	customer_id   BIGINT NOT NULL,
	generation    BIGINT NOT NULL,
	not_before    BIGINT NOT NULL,
	attempts      BIGINT NOT NULL,
	reason        VARBINARY(255) NOT NULL,
	floor         BIGINT NOT NULL,
	merged_into   BIGINT NOT NULL,
	PRIMARY KEY (connection_id, customer_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {leases} (
	connection_id VARBINARY(255) NOT NULL,
	kind          VARBINARY(32) NOT NULL,
	epoch         BIGINT NOT NULL,
	owner         TEXT   NOT NULL,
	expires_at    BIGINT NOT NULL, -- by the database's clock
	PRIMARY KEY (connection_id, kind)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {runs} (
	connection_id VARBINARY(255) NOT NULL,
	run_id        VARBINARY(255) NOT NULL,
	state         VARBINARY(32) NOT NULL,
	started_at    BIGINT NOT NULL,
	updated_at    BIGINT NOT NULL,
	report        MEDIUMTEXT NOT NULL, -- JSON
	progress      TEXT   NOT NULL, -- JSON
	checkpoint    MEDIUMBLOB NOT NULL,
	error         TEXT   NOT NULL,
	PRIMARY KEY (connection_id, run_id),
	INDEX {.runs_started} (connection_id, started_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {connections} (
	connection_id          VARBINARY(255) NOT NULL PRIMARY KEY,
	shop                   VARBINARY(255) NOT NULL,
	api_version            VARCHAR(64) NOT NULL,
	client_id              TEXT NOT NULL,
	access_token           TEXT NOT NULL, -- sealed; '' if there is none
	client_secret          TEXT NOT NULL, -- sealed
	previous_client_secret TEXT NOT NULL, -- sealed
	whatsapp_account       VARBINARY(255) NOT NULL, -- '' without WhatsApp settings
	whatsapp_country       VARBINARY(255) NOT NULL,
	labels                 MEDIUMTEXT NOT NULL,  -- JSON
	INDEX {.connections_shop} (shop)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
