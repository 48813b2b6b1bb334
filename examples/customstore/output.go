package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/omnichat/shopifysync"
)

// output shows what happens.
type output struct{ w io.Writer }

func (o *output) story() error {
	_, err := io.WriteString(o.w, story)
	return err
}

// sync runs a full sync and prints its report.
func (o *output) sync(ctx context.Context, s *shopifysync.Syncer, title string) error {
	r, err := s.Sync(ctx, shopifysync.SyncParams{Connection: connectionID})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.w, "\n%s: %d customers; %d new, %d updated, %d unchanged, %d failed; %d removed\n",
		title, r.Seen, r.Created, r.Updated, r.Unchanged, r.Failed, r.RemovedTotal())
	return nil
}

// people prints the team's table.
func (o *output) people(ctx context.Context, db *sql.DB, title string) error {
	rows, err := db.QueryContext(ctx, `
		SELECT id, display_name, email, phone, tags, agent_note, COALESCE(external_ref, '') FROM people ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	fmt.Fprintf(o.w, "\n%s\n", title)
	for rows.Next() {
		var id int64
		var name, email, phone, tagsText, note, ref string
		if err := rows.Scan(&id, &name, &email, &phone, &tagsText, &note, &ref); err != nil {
			return err
		}
		var tags []string
		if err := json.Unmarshal([]byte(tagsText), &tags); err != nil {
			return err
		}
		fmt.Fprintf(o.w, "  %d %s\n", id, cmp.Or(joined(" | ", name, email, phone), "(nobody known)"))
		if line := joined(" | ", labelled("tags: ", strings.Join(tags, ", ")), labelled("note: ", note), ref); line != "" {
			fmt.Fprintf(o.w, "    %s\n", line)
		}
	}
	return rows.Err()
}

// joined joins the texts that are not empty.
func joined(separator string, texts ...string) string {
	var some []string
	for _, t := range texts {
		if t != "" {
			some = append(some, t)
		}
	}
	return strings.Join(some, separator)
}

func labelled(label, text string) string {
	if text == "" {
		return ""
	}
	return label + text
}
