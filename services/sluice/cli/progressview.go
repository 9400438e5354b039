package cli

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/terminal"
)

// progressView shows a run's progress: as a bar on a terminal, otherwise as a line after each change. It writes to
// standard error, so that the command's output stays clean.
type progressView struct {
	line func(string)
	bar  *progressbar.ProgressBar

	last event.Progress
	at   time.Time
}

// lineEvery limits the lines of a long run.
const lineEvery = time.Second

func (a *app) progressView() *progressView {
	v := &progressView{line: a.notice}
	// The bar moves the cursor, so it bypasses the writer that escapes control characters: its text comes only from
	// Sluice.
	if screen, ok := terminal.File(a.err); ok && terminal.Is(screen) {
		v.bar = progressbar.NewOptions(100,
			progressbar.OptionSetWriter(screen), progressbar.OptionSetWidth(30),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetTheme(progressbar.ThemeUnicode))
	}
	return v
}

func (v *progressView) update(p event.Progress) {
	text := fmt.Sprintf("%s %s: %d of %d pages", p.SourceID, p.State, p.Counts.Listed-p.Counts.Pending, p.Counts.Listed)
	if p.Counts.Failed > 0 {
		text += fmt.Sprintf(", %d failed", p.Counts.Failed)
	}
	if v.bar != nil {
		v.bar.Describe(text)
		_ = v.bar.Set(p.Percent)
		return
	}
	if p.State == v.last.State && (p.Counts == v.last.Counts || time.Since(v.at) < lineEvery) {
		return
	}
	v.last, v.at = p, time.Now()
	v.line(fmt.Sprintf("%3d%%  %s", p.Percent, text))
}

func (v *progressView) close() {
	if v.bar != nil {
		_ = v.bar.Finish()
	}
}
