package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/services/sluice/cli"
	"github.com/sluicehq/sluice/shared/terminal"
)

// evil contains text that a terminal would interpret: it writes the clipboard, clears the screen with 7-bit and 8-bit
// codes, reverses the following text, and starts a new line.
const evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u009b2J\u009d52;c;eA==\u009c\u202egnp\r\n9. Forged"

// hostileTitles runs every command on pages whose titles, texts and labels a terminal would interpret.
func hostileTitles(p *person, site *sandbox.Site) {
	require.NoError(p.t, site.AddSpace("EVIL", "Evil "+evil))
	draft := func(title, body string) sandbox.Page {
		page, err := site.CreatePage(sandbox.Draft{Space: "EVIL", Title: title + evil, Body: body})
		require.NoError(p.t, err)
		require.NoError(p.t, site.SetLabels(page.ID, "label"+evil))
		return page
	}
	shown := draft("Shown", "<h1>Head\u009b2J\u202eing</h1><p>Walrus \u009b2J \u202e text</p><ac:structured-macro ac:name=\"odd\u009b2J\"/>")
	draft("Failed", tooDeep)
	var gone []string
	for range 24 {
		gone = append(gone, draft("Gone "+strings.Repeat("x", len(gone)), "<p>gone</p>").ID)
	}
	p.sees("source", "add", "evil", "--space", "EVIL", "--no-schedule", "--name", "Named "+evil, "--tag", "t"+evil)
	listed := filepath.Join(p.t.TempDir(), "listed.md")
	require.NoError(p.t, os.WriteFile(listed, []byte("Sea cow"), 0o600))
	p.sees("document", "add", listed, "--source", "papers", "--title", "Listed "+evil)
	p.errs(3, "sync", "evil", "--wait", "--request-id", "evil-1")
	for _, id := range gone {
		require.NoError(p.t, site.TrashPage(id))
	}
	p.errs(4, "sync", "evil", "--mode", "full", "--wait", "--request-id", "evil-2")

	// The arguments of each command; "" for commands that print nothing from a site or do not end.
	said := map[string][]string{
		"status": {"Gone", "evil-2"}, "failed list": {"Failed", "--source evil"}, "removals list": {"Gone", "evil"},
		"search": {"Shown", "Walrus --source evil --explain"}, "page": {"Walrus", shown.ID}, "why": {"Shown", "ann " + shown.ID}, "source list": {"evil", ""},
		"source losses": {"odd", "evil"}, "sync": {"", "evil --mode full --request-id evil-2 --wait"}, "cancel": {"", "evil-1"},
		"failed retry": {"", "evil-1"}, "source set": {"", "evil --name " + strings.ReplaceAll(evil, " ", "")}, "doctor": {"", ""}, "secret list": {"", ""}, "key list": {"", ""},
		"removals reject": {"", "evil-2"}, "removals approve": {"", "evil-1"}, "migrate status": {"", ""}, "migrate verify": {"", ""}, "migrate up": {"", ""}, "migrate export": {"", p.data + "/scripts"},
		"document list":   {"Listed", ""},
		"document remove": {"", "x" + strings.ReplaceAll(evil, " ", "") + " --source evil"}, "source remove": {"", "nowhere" + strings.ReplaceAll(evil, " ", "")},
		"source resume": {"", "nowhere" + strings.ReplaceAll(evil, " ", "")},
		"convert":       {"", "-"}, "source add": {"", "evil" + strings.ReplaceAll(evil, " ", "") + " --space EVIL"}, "document add": {"", "- --source evil --url x" + strings.ReplaceAll(evil, " ", "")},
		"secret set": {"", "docs"}, "secret remove": {"", "x" + strings.ReplaceAll(evil, " ", "")}, "secret rotate": {"", ""},
		"key create": {"", "--role read --name " + strings.ReplaceAll(evil, " ", "")}, "key revoke": {"", "x" + strings.ReplaceAll(evil, " ", "")},
		"mcp": nil, "mcp config": {"", ""}, "embeddings status": {"", ""}, "embeddings plan": {"", ""}, "embeddings switch": {"", ""}, "embeddings retry": {"", ""},
		"embeddings drop": {"", "x" + strings.ReplaceAll(evil, " ", "")},
		"nats access":     {"", ""}, "nats adopt": {"", ""}, "nats init": {"", p.data + "/keys"}, "completion bash": nil, "completion zsh": nil, "completion fish": nil, "completion powershell": nil,
		"version": {"", ""}, "up": nil, "demo": nil, "sandbox": nil, "migrate down": nil, "help": nil,
	}
	p.in = "<p>Walrus\u009b2J</p>"
	defer func() { p.in = "" }()
	for _, command := range cli.Commands() {
		how, known := said[command]
		require.True(p.t, known, "add the command %q to said, with a hostile title", command)
		if how == nil {
			continue
		}
		// The first arguments are for text output, the second for JSON. Some commands change their own results.
		for _, format := range [][]string{{}, {"-o", "json"}} {
			// Arguments are split at single spaces, since evil contains a line break.
			args := append(strings.Split(command, " "), strings.FieldsFunc(how[1], func(r rune) bool { return r == ' ' })...)
			p.width = 80
			_, out, err := p.types(append(args, format...)...)
			p.width = 0
			if len(format) == 0 && !slices.Contains([]string{"convert", "page", "nats access", "mcp config"}, command) { // which print what is used as it is
				assert.Empty(p.t, cli.TooWide(out+err, 80), command)
			}
			for _, text := range []string{out, err} {
				require.Equal(p.t, terminal.Clean(text), text, "%s %v", command, format)
				require.NotContains(p.t, text, "\x1b", "%s %v", command, format)
			}
			require.Contains(p.t, out, how[0], command)
			if len(format) > 0 {
				assert.True(p.t, out == "" || json.Valid([]byte(out)), "%s ignores -o json: %s", command, out)
				assert.NotRegexp(p.t, `(?m)^\s*"[A-Z]\w*":`, out, "%s has capitalised keys", command)
			}
			if len(format) == 0 && command != "convert" {
				require.NotContains(p.t, out, "\n9. Forged", command)
			}
		}
	}
	var page struct{ Title string }
	_, out, _ := p.types("page", shown.ID, "-o", "json")
	require.NoError(p.t, json.Unmarshal([]byte(out), &page))
	require.Equal(p.t, "Shown"+evil, page.Title, "a program reads the original text")
	require.Contains(p.t, p.sees("page", shown.ID, "--chunks"), "Shown\uFFFD]52;c")
}
