package cli

import (
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// content is what a stand-in serves, as flags say it.
type content struct {
	corpus string
	pages  int
	seed   int64
}

func (c *content) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.corpus, "corpus", "", "serve a `folder` of storage-format bodies (*.xml) instead of the built-in space")
	cmd.Flags().IntVar(&c.pages, "pages", 0, "serve this `number` of made-up pages instead of the built-in space")
	cmd.Flags().Int64Var(&c.seed, "seed", 1, "makes the made-up pages the same each time")
	cmd.MarkFlagsMutuallyExclusive("corpus", "pages")
}

// spaceKey is the key of the space that holds the content.
func (c *content) spaceKey() string {
	switch {
	case c.corpus != "":
		return sandbox.CorpusSpace
	case c.pages > 0:
		return sandbox.GeneratedSpace
	default:
		return sandbox.BuiltinSpace
	}
}

func (a *app) sandbox() *cobra.Command {
	var c content
	var addr string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve a stand-in for Confluence Cloud",
		Long: `Serve a stand-in for Confluence Cloud on loopback: its API for the pipeline, pages for
a browser, and a control route (/_sandbox/) to create, edit, move and remove pages.`,
		Example: "  sluice sandbox\n  sluice sandbox --pages 4000 --seed 7 --addr 127.0.0.1:9000",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			site := sandbox.New(sandbox.Options{})
			if err := site.Fill(c.corpus, c.pages, c.seed); err != nil {
				return err
			}
			served, err := sandbox.Serve(addr, site)
			if err != nil {
				return err
			}
			a.printf("The stand-in serves space %s, %s.\n", c.spaceKey(), plural(readable(site, c.spaceKey()), "page", "pages"))
			a.printf("  browse   %s/wiki/spaces/%s/overview\n  control  %s/_sandbox/\n", served.URL, c.spaceKey(), served.URL)
			a.printf("Sync it from here:\n  export CONFLUENCE_BASE_URL=%s/wiki CONFLUENCE_ALLOW_HTTP=true\n  export CONFLUENCE_EMAIL=%s CONFLUENCE_API_TOKEN=%s\n", served.URL, sandbox.DefaultEmail, sandbox.DefaultToken)
			a.printf("  sluice source add demo --space %s && sluice up\nCtrl-C stops it.\n", c.spaceKey())
			<-cmd.Context().Done()
			return served.Close()
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:8090", "`address` to serve on; port 0 is any free one")
	return cmd
}

// readable counts the pages of a space that a sync finds: no folders, trash or hidden pages.
func readable(site *sandbox.Site, key string) int {
	n := 0
	for _, p := range site.Pages(key) {
		if p.Kind == sandbox.KindPage && p.Status == "current" && !p.Hidden {
			n++
		}
	}
	return n
}
