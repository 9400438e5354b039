package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/sluice/local"
	"github.com/sluicehq/sluice/shared/assistant"
)

// clients are the programs whose settings are known, in the order in which they are printed. {self} is this
// program and {address} that of /mcp, as they are typed; {args} are its arguments.
var clients = []struct{ name, where, stdio, http string }{
	{"claude", "Claude Code; type this", "claude mcp add sluice -- {self} {typed}\n",
		"claude mcp add --transport http sluice {address} --header \"Authorization: Bearer $SLUICE_KEY\"\n"},
	{"claude-desktop", "Claude Desktop; claude_desktop_config.json", mcpServers, viaStdio},
	{"cursor", "Cursor; ~/.cursor/mcp.json", mcpServers,
		"{\"mcpServers\": {\"sluice\": {\"url\": {json address}, \"headers\": {\"Authorization\": \"Bearer ${env:SLUICE_KEY}\"}}}}\n"},
	{"vscode", "VS Code; .vscode/mcp.json", "{\"servers\": {\"sluice\": {\"type\": \"stdio\", \"command\": {json self}, \"args\": {args}}}}\n",
		"{\"inputs\": [{\"type\": \"promptString\", \"id\": \"sluice-key\", \"description\": \"Sluice API key\", \"password\": true}],\n" +
			" \"servers\": {\"sluice\": {\"type\": \"http\", \"url\": {json address}, \"headers\": {\"Authorization\": \"Bearer ${input:sluice-key}\"}}}}\n"},
	{"codex", "Codex; ~/.codex/config.toml", "[mcp_servers.sluice]\ncommand = {json self}\nargs = {args}\n",
		"[mcp_servers.sluice]\nurl = {json address}\nbearer_token_env_var = \"SLUICE_KEY\"\n"},
	{"gemini", "Gemini CLI; ~/.gemini/settings.json", mcpServers,
		"{\"mcpServers\": {\"sluice\": {\"httpUrl\": {json address}, \"headers\": {\"Authorization\": \"Bearer $SLUICE_KEY\"}}}}\n"},
}

const (
	mcpServers = "{\"mcpServers\": {\"sluice\": {\"command\": {json self}, \"args\": {args}}}}\n"
	// viaStdio is for a client that takes no key: this program passes its requests on.
	viaStdio = "{\"mcpServers\": {\"sluice\": {\"command\": {json self}, \"args\": [\"mcp\", \"--url\", {json address}], \"env\": {\"SLUICE_KEY\": \"the key\"}}}}\n"
)

func (a *app) mcpConfig() *cobra.Command {
	var names []string
	for _, c := range clients {
		names = append(names, c.name)
	}
	var o mcpOptions
	cmd := &cobra.Command{
		Use:   "config [CLIENT]",
		Short: "Print what to paste into an assistant's settings",
		Long: "Print what connects an assistant to sluice mcp, or with --url to an HTTP API: for\n" + strings.Join(names, ", ") + ", or all of them.\n" +
			"No key is printed: the client takes it from SLUICE_KEY, or asks for it.",
		Example: "  sluice mcp config claude\n  sluice mcp config vscode --url https://sluice.acme.com",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, list []string) error {
			cfg, err := a.settings()
			if err != nil {
				return err
			}
			o.url = cmp.Or(o.url, cfg.APIURL)
			only := strings.Join(list, "")
			texts := map[string]string{}
			for _, c := range clients {
				if only != "" && only != c.name {
					continue
				}
				text, err := a.pasted(c.stdio, c.http, o.url)
				if err != nil {
					return err
				}
				if texts[c.name] = text; a.json() {
					continue
				}
				if only == "" {
					a.printf("# %s\n", c.where)
				} else {
					a.notice("# " + c.where)
				}
				a.verbatim(text)
				if only == "" {
					a.printf("\n")
				}
			}
			if len(texts) == 0 {
				return usageError{fmt.Errorf("there is no client %q here; there are: %s", only, strings.Join(names, ", "))}
			}
			if o.url == "" && !cfg.DatabaseURL.IsZero() {
				a.notice("The client has to give sluice the DATABASE_URL that is set here.")
			}
			if a.json() {
				return a.printJSON(texts)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.url, "url", "", "`address` of an HTTP API (default $SLUICE_API)")
	return cmd
}

// pasted is what a client is to be told.
func (a *app) pasted(stdio, http, url string) (string, error) {
	cfg, err := a.settings()
	if err != nil {
		return "", err
	}
	self, arguments := mcpCommand(cfg.DataDir)
	format, endpoint := stdio, ""
	if url != "" {
		format = http
		if endpoint, err = (assistant.Gateway{URL: url}).Endpoint(); err != nil {
			return "", usageError{err}
		}
	}
	return strings.NewReplacer(
		"{self}", shellWord(self), "{json self}", jsonText(self), "{args}", jsonText(arguments), "{typed}", shellWord(arguments...),
		"{address}", shellWord(endpoint), "{json address}", jsonText(endpoint),
	).Replace(format), nil
}

// shellWord writes words so that a shell takes each as it is.
func shellWord(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = w
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return !strings.ContainsRune(plainRunes, r) }) {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

const plainRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,"

// jsonText is a value as JSON, which TOML takes too.
func jsonText(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // text and lists of text can always be
	return strings.TrimSpace(b.String())
}

// mcpCommand is sluice mcp as a client in another folder can start it: the program and its arguments.
func mcpCommand(dataDir string) (self string, arguments []string) {
	self, err := os.Executable()
	if err != nil {
		self = command(os.Args[0])
	}
	arguments = []string{"mcp"}
	if dataDir != local.DefaultDataDir() {
		arguments = append(arguments, "--data", dataDir)
	}
	return self, arguments
}
