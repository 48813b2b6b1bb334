-- Who was merged into a customer: an erasure asks. Few rows are in it.
CREATE INDEX {.contacts_merged} ON {contacts} (connection_id, merged_into) WHERE merged_into <> 0;
