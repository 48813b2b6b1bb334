package sqlstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/omnichat/shopifysync"
)

var markColumns = []column{
	{"customer_id", bigint}, {"generation", bigint}, {"not_before", bigint}, {"attempts", bigint},
	{"reason", text}, {"floor", bigint}, {"merged_into", bigint},
}

// insertMarks is the rule of [shopifysync.StateStore.PutMarks]. The generation
// that comes in is how often the mark is put; see PutMarks for new ones.
var insertMarks = insertion{
	table:   "{marks}",
	columns: markColumns,
	update: []assignment{
		{"generation", "old.generation + (new.generation & 65535)"},
		{"not_before", "CASE WHEN new.not_before < old.not_before THEN new.not_before ELSE old.not_before END"},
		{"attempts", "CASE WHEN new.attempts <> 0 THEN new.attempts ELSE old.attempts END"},
		{"reason", "CASE WHEN new.reason <> '' THEN new.reason ELSE old.reason END"},
		{"floor", "CASE WHEN new.floor > old.floor THEN new.floor ELSE old.floor END"},
		{"merged_into", "CASE WHEN new.merged_into <> 0 THEN new.merged_into ELSE old.merged_into END"},
	},
}

var _ = cmp.Or[int]
var _ = slices.Sort[[]int]
var _ context.Context
var _ shopifysync.Mark
