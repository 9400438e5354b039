package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// shows says of each command what it shows of pages: "" for a command with --as, else why it needs none.
func shows(command string) (why string, known bool) {
	const (
		changes = "it changes something, and says what it has done"
		nothing = "it shows nothing of pages"
	)
	why, known = map[string]string{
		"status": "", "failed list": "", "removals list": "", "search": "", "page": "", "source list": "", "source losses": "", "embeddings status": "", "mcp": "",
		"why":  "it is about the account that is named",
		"sync": changes, "cancel": changes, "failed retry": changes, "removals approve": changes, "removals reject": changes,
		"embeddings switch": changes, "embeddings retry": changes, "embeddings drop": changes, "embeddings plan": "it measures what a model would cost, for all pages",
		"source add": changes, "source set": changes, "source resume": changes, "source remove": changes, "document list": "", "document add": changes, "document remove": changes,
		"secret set": nothing, "secret list": nothing, "secret rotate": nothing, "secret remove": nothing, "key create": nothing, "key list": nothing, "key revoke": nothing,
		"mcp config": nothing, "convert": "its page is given to it", "sandbox": nothing, "demo": "its pages are its own", "up": nothing, "version": nothing, "help": nothing,
		"migrate up": nothing, "migrate down": nothing, "migrate status": nothing, "migrate verify": nothing, "migrate export": nothing,
		"nats init": nothing, "nats access": nothing, "nats adopt": nothing, "doctor": "it examines the installation",
	}[command]
	return why, known
}

// Whatever shows pages shows them to somebody: every such command takes --as ACCOUNT.
func TestEveryCommandThatShowsPagesTakesAReader(t *testing.T) {
	t.Parallel()
	root := (&app{}).root()
	for _, name := range Commands() {
		if strings.HasPrefix(name, "completion ") {
			continue
		}
		why, known := shows(name)
		require.True(t, known, "say of the command %q what it shows of pages; if anything, give it readsAs", name)
		cmd, _, err := root.Find(strings.Fields(name))
		require.NoError(t, err)
		flag := cmd.Flags().Lookup("as")
		if name == "key create" { // there it is for whom the key reads
			continue
		}
		require.Equal(t, why == "", flag != nil, "%s: %s", name, why)
		if flag != nil {
			require.Equal(t, asHelp, flag.Usage, name)
		}
	}
}

func TestForWhomACommandReads(t *testing.T) {
	t.Parallel()
	read := func(argv ...string) (account string, operates bool, err error) {
		cmd := &cobra.Command{}
		reads := readsAs(cmd)
		require.NoError(t, cmd.ParseFlags(argv))
		v, err := reads()
		return v.Account(), v.Operator(), err
	}
	account, operates, err := read("--as", "712020:8d0f")
	require.NoError(t, err)
	require.Equal(t, "712020:8d0f", account)
	require.False(t, operates)
	_, operates, err = read()
	require.NoError(t, err)
	require.True(t, operates)
	for _, wrong := range []string{"", "ann@acme.com"} { // the first is a variable of a script that is not set
		_, operates, err = read("--as", wrong)
		require.ErrorContains(t, err, "--as: an account id is")
		require.False(t, operates)
	}
}
