package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const wantOutput = `
The team's table, before the first sync
  1 林怡君
    tags: LINE | note: asked for the opening hours
  2 小明
    tags: VIP, likes calls | note: call after 18:00 | shopify:customstore:7000000000011

First sync: 4 customers; 4 new, 0 updated, 0 unchanged, 0 failed; 0 removed

The team's table now
  1 林怡君
    tags: LINE | note: asked for the opening hours
  2 王小明 | ming@example.com | 00886912345678
    tags: VIP, likes calls, 會員 | note: call after 18:00 | shopify:customstore:7000000000011
  3 李大文 | dawen@example.com | 0085291234567
    tags: 會員 | shopify:customstore:7000000000044
  4 Somchai Dee | 0066812345678
    tags: wholesale | shopify:customstore:7000000000033
  5 陳美玲 | mei@example.com | 00886987654321
    tags: newsletter, 會員 | shopify:customstore:7000000000022

In the chat, an agent
  takes 會員 off 王小明, and tags 陳美玲 "asks about sizes"
  tags Somchai Dee "refund", and notes that one is pending
In Shopify, the merchant
  takes VIP off 王小明, and adds 金卡
  takes newsletter off 陳美玲, and adds birthday-may
  deletes Somchai Dee
  has 李大文 redacted, who asked for it

Second sync, a day later: 3 customers; 0 new, 2 updated, 0 unchanged, 0 failed; 2 removed

The team's table now
  1 林怡君
    tags: LINE | note: asked for the opening hours
  2 王小明 | ming@example.com | 00886912345678
    tags: VIP, likes calls, 金卡 | note: call after 18:00 | shopify:customstore:7000000000011
  3 (nobody known)
  4 Somchai Dee | 0066812345678
    tags: refund | note: a refund is pending
  5 陳美玲 | mei@example.com | 00886987654321
    tags: 會員, asks about sizes, birthday-may | shopify:customstore:7000000000022

Look around: sqlite3 FILE 'SELECT * FROM shopify_members'
`

func TestOutput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "100% 會員?#.db") // a name that is no plain part of a URL
	var stdout bytes.Buffer
	if err := run(t.Context(), []string{"-db", file}, &stdout); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(stdout.String(), file, "FILE")
	if diff := cmp.Diff(wantOutput, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info.Mode(), err)
	}
}

func TestWrongInput(t *testing.T) {
	existing := filepath.Join(t.TempDir(), "crm.db")
	if err := os.WriteFile(existing, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"an unknown flag":      {"-frobnicate"},
		"help":                 {"-h"},
		"an argument":          {"crm.db"},
		"a file that is there": {"-db", existing},
		"a directory":          {"-db", t.TempDir()},
		"no such directory":    {"-db", filepath.Join(t.TempDir(), "none", "crm.db")},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout bytes.Buffer
			err := run(t.Context(), args, &stdout)
			var usage usageError
			if !errors.As(err, &usage) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line of usage", err)
			}
			if stdout.Len() > 0 {
				t.Errorf("output %q", stdout.String())
			}
		})
	}
	if content, err := os.ReadFile(existing); err != nil || string(content) != "precious" {
		t.Errorf("the existing file was touched: %q, %v", content, err)
	}
}
