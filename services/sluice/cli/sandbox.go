package cli

import (
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
	"github.com/sluicehq/sluice/shared/config"
)

// content is what a stand-in serves, as set by flags.
type content struct {
	corpus string
	pages  int
	seed   int64
}

func (c *content) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.corpus, "corpus", "", "serve a `folder` of storage-format bodies (*.xml) instead of the built-in space")
	cmd.Flags().IntVar(&c.pages, "pages", 0, "serve this `number` of generated pages instead of the built-in space")
	cmd.Flags().Int64Var(&c.seed, "seed", 1, "seed of the generated pages: the same seed generates the same pages")
	cmd.MarkFlagsMutuallyExclusive("corpus", "pages")
}

// spaceKey returns the key of the space with the content.
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

// sandboxFlags maps flags to the stand-in's settings that they set.
var sandboxFlags = map[string]string{
	"addr": "SANDBOX_ADDR", "corpus": "SANDBOX_CORPUS", "pages": "SANDBOX_PAGES", "seed": "SANDBOX_SEED", "faults": "SANDBOX_FAULTS",
}

// sandboxSettings returns the settings of the environment, overridden by the given flags.
func (a *app) sandboxSettings(cmd *cobra.Command) (config.Sandbox, error) {
	given := map[string]string{}
	for flag, setting := range sandboxFlags {
		if f := cmd.Flags().Lookup(flag); f.Changed {
			given[setting] = f.Value.String()
		}
	}
	// A flag also overrides the setting that excludes it.
	if given["SANDBOX_CORPUS"] != "" {
		given["SANDBOX_PAGES"] = ""
	} else if given["SANDBOX_PAGES"] != "" {
		given["SANDBOX_CORPUS"] = ""
	}
	return config.Load[config.Sandbox](func(name string) (string, bool) {
		if v, ok := given[name]; ok {
			return v, true
		}
		return a.lookup(name)
	})
}

func (a *app) sandbox() *cobra.Command {
	var flags content
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve a stand-in for Confluence Cloud",
		Long: `Serve a stand-in for Confluence Cloud on loopback: its API for the pipeline, pages for
a browser, and a control route (/_sandbox/) to create, edit, move and remove pages.

The environment configures the site (SANDBOX_INDEX_LAG, SANDBOX_SCOPED and more);
docs/configuration.md lists the settings, docs/sandbox.md explains their use.`,
		Example: "  sluice sandbox\n  sluice sandbox --pages 4000 --seed 7 --addr 127.0.0.1:9000\n" +
			"  sluice sandbox --faults '{\"faults\": [{\"kind\": \"server-error\", \"route\": \"/wiki/api/v2/folders/{id}\"}]}'",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.sandboxSettings(cmd)
			if err != nil {
				return err
			}
			site, err := sandbox.Configured(cfg.Standin)
			if err != nil { // a setting's value cannot be used
				return usageError{err}
			}
			served, err := sandbox.Serve(cfg.Addr, site)
			if err != nil {
				return err
			}
			a.introduce(cfg.Standin, site, served.URL)
			<-cmd.Context().Done()
			return served.Close()
		},
	}
	flags.flags(cmd)
	cmd.Flags().String("addr", "127.0.0.1:8090", "`address` to serve on; port 0 means any free port")
	cmd.Flags().String("faults", "", "faults to inject, as `JSON` in the form of the control route")
	return cmd
}

// introduce prints what is served and how to sync it.
func (a *app) introduce(c config.Standin, site *sandbox.Site, url string) {
	key := (&content{corpus: c.Corpus, pages: c.Pages}).spaceKey()
	token, gateway := "$SANDBOX_TOKEN", ""
	if c.Token.Reveal() == sandbox.DefaultToken {
		token = sandbox.DefaultToken
	}
	if c.Scoped {
		gateway = " CONFLUENCE_GATEWAY=" + url
	}
	a.printf("The stand-in serves space %s, %s.\n", key, plural(readable(site, key), "page", "pages"))
	a.printf("  browse   %s/wiki/spaces/%s/overview\n  control  %s/_sandbox/\n", url, key, url)
	a.printf("Sync it from here:\n  export CONFLUENCE_BASE_URL=%s/wiki CONFLUENCE_ALLOW_HTTP=true%s\n  export CONFLUENCE_EMAIL=%s CONFLUENCE_API_TOKEN=%s\n", url, gateway, c.Email, token)
	a.printf("  sluice source add demo --space %s && sluice up\nPress Ctrl-C to stop.\n", key)
}

// readable counts the pages of a space that a sync finds: not folders, trash or hidden pages.
func readable(site *sandbox.Site, key string) int {
	n := 0
	for _, p := range site.Pages(key) {
		if p.Kind == sandbox.KindPage && p.Status == "current" && !p.Hidden {
			n++
		}
	}
	return n
}
