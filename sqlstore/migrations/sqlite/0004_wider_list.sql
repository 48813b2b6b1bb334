-- What Store.List filters by stands in its index, so that tags, orders, amounts
-- and consents are not looked up in the wide rows either.
DROP INDEX {.contacts_list};
CREATE INDEX {.contacts_list} ON {contacts} (connection_id, customer_id, search, tags,
	orders_count, total_spent, total_spent_currency, email_consent, sms_consent) WHERE removed = '';
