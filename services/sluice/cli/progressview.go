package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/sluicehq/sluice/shared/control"
	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/store"
	"github.com/sluicehq/sluice/shared/terminal"
)

// progressView shows a run's progress: as a bar on a terminal, otherwise as a line after each change. It writes to
// standard error, so that the command's output stays clean.
type progressView struct {
	line func(string)
	bar  *progressbar.ProgressBar

	mu    sync.Mutex // the run's progress and its site's pauses come from two places
	last  event.Progress
	at    time.Time
	pause *store.Pause // nil while the site answers
}

const (
	lineEvery  = time.Second     // limits the lines of a long run
	pauseEvery = 2 * time.Second // is how often it is looked for a pause
)

func (a *app) progressView() *progressView {
	v := &progressView{line: a.notice}
	// The bar moves the cursor, so it bypasses the writer that escapes control characters: its text comes only from
	// Sluice.
	if screen, ok := terminal.File(a.log); ok && terminal.Is(screen) {
		v.bar = progressbar.NewOptions(100,
			progressbar.OptionSetWriter(screen), progressbar.OptionSetWidth(barWidth(widthOf(screen))),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetTheme(progressbar.ThemeUnicode))
	}
	return v
}

// barWidth leaves most of a terminal's line to the text, so that it does not wrap.
func barWidth(terminal int) int { return max(5, min(30, terminal-70)) }

func (v *progressView) update(p event.Progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	changed := p.State != v.last.State || p.Counts != v.last.Counts && time.Since(v.at) >= lineEvery
	if v.bar != nil || changed {
		v.last, v.at = p, time.Now()
		v.show(time.Now())
	}
}

// paused shows the pause that the run's site has asked for; nil says that there is none.
func (v *progressView) paused(pause *store.Pause) {
	v.mu.Lock()
	defer v.mu.Unlock()
	was := v.pause
	v.pause = pause
	if v.bar != nil && (was != nil || pause != nil) || (was == nil) != (pause == nil) || was != nil && !was.Until.Equal(pause.Until) {
		v.show(time.Now())
	}
}

func (v *progressView) show(now time.Time) {
	text := progressText(v.last, v.pause, now)
	if v.bar != nil {
		v.bar.Describe(text)
		_ = v.bar.Set(v.last.Percent)
		return
	}
	v.line(fmt.Sprintf("%3d%%  %s", v.last.Percent, text))
}

// progressText says how far a run is, and what it waits for.
func progressText(p event.Progress, pause *store.Pause, now time.Time) string {
	text := fmt.Sprintf("%s %s: %d of %d pages", p.SourceID, p.State, p.Counts.Listed-p.Counts.Pending, p.Counts.Listed)
	if p.Counts.Failed > 0 {
		text += fmt.Sprintf(", %d failed", p.Counts.Failed)
	}
	if pause != nil {
		text += fmt.Sprintf(", paused by the site until %s, %d s", clock(pause.Until), max(0, int(pause.Until.Sub(now).Round(time.Second).Seconds())))
	}
	return text
}

// watchPauses shows the pauses of a source's site until ctx ends. If they cannot be read, they are not shown.
func (a *app) watchPauses(ctx context.Context, v *progressView, reader control.Reader, sourceID string) {
	tick := time.NewTicker(pauseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if src, err := reader.Source(ctx, operator, sourceID); err == nil {
			v.paused(src.Pause)
		}
	}
}

func (v *progressView) close() {
	if v.bar != nil {
		_ = v.bar.Finish()
	}
}
