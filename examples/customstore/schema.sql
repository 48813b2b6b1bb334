-- The team's own table, as it was before shopifysync came.
CREATE TABLE IF NOT EXISTS people (
    id           INTEGER PRIMARY KEY,        -- conversations and tickets point here: the sync never deletes a row
    display_name TEXT NOT NULL DEFAULT '',
    email        TEXT NOT NULL DEFAULT '',
    phone        TEXT NOT NULL DEFAULT '',   -- as the telephone system dials it: 00886912345678
    tags         TEXT NOT NULL DEFAULT '[]', -- a JSON array; agents edit it
    agent_note   TEXT NOT NULL DEFAULT '',   -- agents edit it; the sync does not even read it
    external_ref TEXT UNIQUE                 -- shopify:{connection}:{customer id}; NULL: no member of a shop
);

-- The side table: what the contract of shopifysync.ContactStore needs and the
-- team's table has no place for. One row for each (connection, customer).
CREATE TABLE IF NOT EXISTS shopify_members (
    connection  TEXT    NOT NULL, -- compared byte for byte, as SQLite does; elsewhere that takes a binary collation
    customer_id INTEGER NOT NULL, -- 64 bits
    live        INTEGER NOT NULL, -- 0: a tombstone
    contact     TEXT    NOT NULL, -- JSON of what Apply returned: the version and what Shopify last sent, or a tombstone
    given_tags  TEXT    NOT NULL, -- JSON array: which of the person's tags came from Shopify
    -- A tombstone keeps the person, so that a later redaction finds whom to
    -- erase; redaction then drops it. Needs PRAGMA foreign_keys.
    person_id   INTEGER REFERENCES people (id) ON DELETE SET NULL,
    PRIMARY KEY (connection, customer_id)
);
CREATE INDEX IF NOT EXISTS shopify_members_live ON shopify_members (connection, customer_id) WHERE live;
-- Who was merged into a member; a tombstone says so.
CREATE INDEX IF NOT EXISTS shopify_members_merged ON shopify_members (connection, contact ->> '$.MergedInto') WHERE NOT live;
CREATE INDEX IF NOT EXISTS shopify_members_person ON shopify_members (person_id);
