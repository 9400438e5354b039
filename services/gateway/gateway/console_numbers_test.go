package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/failure"
	"github.com/sluicehq/sluice/shared/store"
)

// document is a page of the console.
func (v *visitor) document(path string) *goquery.Document {
	v.w.t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(v.page(path)))
	require.NoError(v.w.t, err)
	return doc
}

// number is the number in the first element that a selector finds.
func number(t *testing.T, doc *goquery.Document, selector string) int {
	t.Helper()
	found := doc.Find(selector).First()
	require.Equal(t, 1, found.Length(), selector)
	n, err := strconv.Atoi(strings.ReplaceAll(strings.Fields(found.Text())[0], ",", ""))
	require.NoError(t, err, selector)
	return n
}

// fact is the number under a name in a list of facts.
func fact(t *testing.T, doc *goquery.Document, name string) int {
	t.Helper()
	return number(t, doc, `.facts div:has(dt:contains("`+name+`")) dd`)
}

// Every number on a page is the API's for the same moment, for who sees all and for who sees a part.
func TestTheNumbersOfTheConsoleAreThoseOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fill()
	run := w.run("docs", "second", listed("11", "12", "13", "14", "15")...)
	for _, id := range []string{"11", "12", "13"} {
		w.write(run, id, "/"+id, "Page "+id, "The harbour again.")
	}
	for _, id := range []string{"14", "15"} {
		require.NoError(t, w.store.FailPage(t.Context(), event.PageFailed{RunID: run.ID, SourceID: "docs", PageID: id, Stage: "converter", Code: failure.Internal, Message: "it broke"}))
	}
	require.Equal(t, event.StateCompletedWithFailures, w.end(run).State)

	for _, key := range []string{"admin", "docs"} {
		v := w.loggedIn(key)
		var sources struct{ Items []store.Source }
		w.wants(http.StatusOK, key, http.MethodGet, "/api/confluence/sources", "").into(&sources)
		home := v.document("")
		rows := home.Find("table").First().Find("tbody tr")
		require.Equal(t, len(sources.Items), rows.Length())
		for i, src := range sources.Items {
			var status sourceStatus
			w.wants(http.StatusOK, key, http.MethodGet, "/api/confluence/"+src.ID+"/status", "").into(&status)
			row := goquery.NewDocumentFromNode(rows.Get(i))
			require.Equal(t, src.Pages, number(t, row, "td.n:nth-of-type(3)"))
			require.Equal(t, src.Chunks, number(t, row, "td.n:nth-of-type(4)"))
			require.Equal(t, status.Failures, number(t, row, "td.n:last-of-type"))

			page := v.document("/sources/" + src.ID)
			require.Equal(t, src.Pages, fact(t, page, "Pages"))
			require.Equal(t, src.Chunks, fact(t, page, "Chunks"))
			require.Equal(t, status.Failures, fact(t, page, "Failed pages"))
			require.Equal(t, status.Latest.Listed, number(t, page, "table tbody tr:first-of-type td:nth-of-type(4)"))

			var failed list[store.Failure]
			w.wants(http.StatusOK, key, http.MethodGet, "/api/confluence/"+src.ID+"/failures", "").into(&failed)
			require.Equal(t, len(failed.Items), v.document("/sources/"+src.ID+"/failures").Find("tbody tr").Length())
			var losses list[store.LossTotal]
			w.wants(http.StatusOK, key, http.MethodGet, "/api/confluence/"+src.ID+"/losses", "").into(&losses)
			lost := v.document("/sources/" + src.ID + "/losses")
			require.Equal(t, losses.Items[0].Pages, number(t, lost, "tbody td.n:nth-of-type(3)"))
			require.Equal(t, losses.Items[0].Count, number(t, lost, "tbody td.n:nth-of-type(4)"))

			var op operation
			w.wants(http.StatusOK, key, http.MethodGet, "/api/progress/"+status.Latest.ID, "").into(&op)
			c := op.Counts
			require.Equal(t, []int{c.Listed, c.Created, c.Updated, c.Unchanged, c.Removed, c.Skipped, c.Failed}, balance(t, v.document("/runs/"+status.Latest.ID)))
		}
	}
	w.everyFigure("admin")

	// So are the bars of a run under way.
	w.write(w.run("docs", "third", listed("11", "16", "17")...), "16", "/16", "Page 16", "The harbour once more.")
	var op operation
	w.wants(http.StatusOK, "operate", http.MethodGet, "/api/progress/third", "").into(&op)
	stored := w.loggedIn("operate").document("/runs/third").Find("progress#bar-Stored")
	require.Equal(t, []string{strconv.Itoa(op.Counts.Created + op.Counts.Updated), strconv.Itoa(op.Counts.Listed - op.Counts.Unchanged - op.Counts.Removed - op.Counts.Skipped)},
		[]string{stored.AttrOr("value", ""), stored.AttrOr("max", "")})

	// Each number of the balance leads to as many pages.
	v := w.loggedIn("operate")
	doors := v.document("/runs/second").Find(".balance a")
	require.Equal(t, 2, doors.Length(), "created or updated, and failed")
	doors.Each(func(_ int, door *goquery.Selection) {
		to, _ := door.Attr("href")
		require.Equal(t, strconv.Itoa(v.document(strings.TrimPrefix(to, "/console")).Find("tbody tr").Length()), door.Find("b").Text())
	})
}

// balance are the numbers of a run's balance. The first is the sum of the others.
func balance(t *testing.T, doc *goquery.Document) []int {
	t.Helper()
	var list []int
	doc.Find(".balance b").Each(func(_ int, b *goquery.Selection) {
		n, err := strconv.Atoi(b.Text())
		require.NoError(t, err)
		list = append(list, n)
	})
	sum := 0
	for _, n := range list[1:] {
		sum += n
	}
	require.Equal(t, list[0], sum, "listed = created + updated + unchanged + removed + skipped + failed")
	return list
}
