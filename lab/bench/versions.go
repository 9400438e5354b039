package bench

import (
	"context"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/sluicehq/sluice/lab/bench/report"
	"github.com/sluicehq/sluice/shared/localpg"
)

// versions lists the versions of the measured parts. Unknown ones are left out.
func versions(ctx context.Context) []report.Version {
	list := []report.Version{{Of: "Sluice", Is: commit(ctx)}, {Of: "Go", Is: strings.TrimPrefix(runtime.Version(), "go")}}
	if pg, err := localpg.FindBinaries(ctx, localpg.Options{DataDir: "none"}); err == nil {
		list = append(list, report.Version{Of: "Postgres", Is: pg.Version})
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/nats-io/nats-server/v2" {
				list = append(list, report.Version{Of: "nats-server", Is: strings.TrimPrefix(m.Version, "v")})
			}
		}
	}
	return list
}

// commit is the commit of the working copy, and whether it has uncommitted changes.
func commit(ctx context.Context) string {
	id, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown commit"
	}
	text := strings.TrimSpace(string(id))
	changes, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no").Output()
	if err != nil || len(changes) > 0 {
		text += " with changes"
	}
	return text
}
