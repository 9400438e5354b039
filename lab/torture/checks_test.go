package torture

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/sandbox/sandbox"
)

// The watcher reports nothing in a seed that passes, so this test shows it everything that it must report.
func TestTheWatcherSeesWhatMustNotBe(t *testing.T) {
	site := sandbox.New(sandbox.Options{})
	site.AddGenerated(sandbox.GeneratedSpace, 10, 1)
	all := site.Pages(sandbox.GeneratedSpace)
	require.NoError(t, site.TrashPage(all[9].ID))
	thread, err := site.AddComment(all[3].ID, sandbox.Comment{Body: "<p>stays</p>"})
	require.NoError(t, err)
	reply, err := site.AddComment(all[3].ID, sandbox.Comment{Body: "<p>is in a thread</p>", ParentID: thread})
	require.NoError(t, err)
	file, err := site.AddAttachment(all[9].ID, sandbox.Attachment{Name: "leaves.txt", Size: 10})
	require.NoError(t, err)
	good := look{deleted: []string{all[9].ID, file, reply}, pages: 10, times: 30}
	for what, bad := range map[string]look{
		"is removed and has been on the site": {deleted: []string{all[3].ID}, pages: 10, times: 30},
		"is stored and has no chunks":         {silent: []string{all[3].ID}, pages: 10, times: 30},
		"is removed and has been on":          {deleted: []string{thread}, pages: 10, times: 30},
		"went from 10 to 9":                   {pages: 9, times: 30},
		"versions from 30 to 29":              {pages: 10, times: 29},
		"being replaced":                      {pages: 10, times: 30, halfDone: 1},
	} {
		w := &world{t: t, site: site, away: map[string]bool{}}
		w.judge(good, look{})
		require.Empty(t, w.problems)
		w.judge(bad, good)
		require.Len(t, w.problems, 1)
		require.Contains(t, w.problems[0], what)
	}
}

func TestTheDifferenceCountsRowsThatAreThereTwice(t *testing.T) {
	missing, extra := difference([]string{"a", "b", "b", "c"}, []string{"b", "c", "c", "d"})
	require.Equal(t, []string{"a", "b"}, missing)
	require.Equal(t, []string{"c", "d"}, extra)
	missing, extra = difference([]string{"a", "b"}, []string{"b", "a"})
	require.Empty(t, missing)
	require.Empty(t, extra)
}

// A seed is useful only if it always gives the same plan.
func TestASeedMeansTheSameEachTime(t *testing.T) {
	require.Equal(t, newPlan(7, 2000).String(), newPlan(7, 2000).String())
	require.NotEqual(t, newPlan(7, 2000).String(), newPlan(8, 2000).String())
	stages := map[string]bool{}
	for _, stage := range replicas {
		stages[stage] = true
	}
	for seed := range int64(50) {
		dealt := map[blow]int{}
		killed := map[string]bool{}
		for _, ph := range newPlan(seed, 200).phases {
			for _, s := range ph.strikes {
				dealt[s.blow]++
				if s.blow == killStage {
					killed[replicas[s.victim]] = true
				}
			}
		}
		require.Len(t, dealt, 6, "a seed deals every kind of blow")
		require.Equal(t, stages, killed, "a seed kills every stage")
	}
}

// The simulated people also delete old versions, after which a version number is used again for another text.
func TestPeopleMakeNumbersComeAgain(t *testing.T) {
	site := sandbox.New(sandbox.Options{})
	site.AddGenerated(sandbox.GeneratedSpace, 30, 1)
	require.NoError(t, site.AddSpace(otherSpace, "Other"))
	w := &world{t: t, site: site, away: map[string]bool{}}
	rng := newPlan(1, 30).random(10)
	made, again := map[string]time.Time{}, 0
	for range 400 {
		_ = w.change(rng)
		for _, p := range site.Pages(sandbox.GeneratedSpace) {
			key := fmt.Sprint(p.ID, " ", p.Version)
			if at, ok := made[key]; ok && !at.Equal(p.ModifiedAt) {
				again++
			}
			made[key] = p.ModifiedAt
		}
	}
	require.Greater(t, again, 3)
}
