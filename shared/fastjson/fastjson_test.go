package fastjson_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/shared/event"
	"github.com/sluicehq/sluice/shared/fastjson"
)

// same decodes doc with encoding/json and with this package, and requires equal results.
func same[T any](t *testing.T, doc string) {
	t.Helper()
	var want, got T
	wantErr, err := json.Unmarshal([]byte(doc), &want), fastjson.Unmarshal([]byte(doc), &got)
	require.Equal(t, wantErr == nil, err == nil, "%.200q: %v against %v", doc, err, wantErr)
	if err == nil {
		require.Equal(t, want, got, "%.200q", doc)
	}
}

func TestEveryEventIsReadAlike(t *testing.T) {
	fixtures, err := filepath.Glob("../event/testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, fixtures)
	for _, name := range fixtures {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		doc := string(raw)
		for _, doc := range []string{doc, doc[:len(doc)/2], doc + " ", doc + "x", strings.ReplaceAll(doc, "1", "null")} {
			same[event.SyncRequested](t, doc)
			same[event.SyncRejected](t, doc)
			same[event.PagesListed](t, doc)
			same[event.PageFetched](t, doc)
			same[event.PageConverted](t, doc)
			same[event.PageStored](t, doc)
			same[event.PageRemoved](t, doc)
			same[event.PageFailed](t, doc)
			same[event.ListingCompleted](t, doc)
			same[event.Progress](t, doc)
		}
	}
}

func TestWhatIsOddIsReadAlike(t *testing.T) {
	type inner struct {
		Value *string `json:"value"`
	}
	type outer struct {
		ID     string            `json:"id"`
		N      int               `json:"n"`
		List   []inner           `json:"list"`
		Rows   *[]inner          `json:"rows"`
		One    *inner            `json:"one"`
		Map    map[string]string `json:"map"`
		Hidden string            `json:"-"`
	}
	for _, doc := range []string{
		``, ` `, `{}`, `null`, `[]`, `"x"`, `{"id":null,"n":null,"list":null,"rows":null,"one":null,"map":null}`,
		`{"id":"a","id":"b"}`, `{"one":{"value":"a"},"one":{}}`, `{"map":{"a":"1","a":"2"},"map":{"b":"3"}}`,
		"{\"id\":\"a\xffb\xc3\"}", "{\"\xff\":1,\"id\":\"x\"}", `{"id":"\ud800"}`, `{"id":"\ud83d\ude00"}`, `{"id":"\u0000"}`,
		"{\"id\":\"a\x00\"}", "{\"id\":\"a\nb\"}", `{"n":1.0}`, `{"n":1e2}`, `{"n":"1"}`, `{"n":9223372036854775808}`, `{"n":-0}`,
		`{"id":1}`, `{"id":{}}`, `{"list":{}}`, `{"list":[{"value":"x"},null,{}]}`, `{"rows":[]}`, `{"rows":[{"value":null}]}`,
		`{"other":[{"deep":{"er":[1,2,{}]}}],"id":"x"}`, `{"Hidden":"x","-":"y"}`, `{"id":"x",}`, `{"id":"x"} {}`, `{"id":"x"}]`,
		"\xef\xbb\xbf{}", `{'id':'x'}`, `{"id":"x" /* no */}`, `{"n":01}`, `{"n":NaN}`,
		`{"other":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}`,
		`{"other":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, strings.Repeat("[", 20_000),
	} {
		same[outer](t, doc)
	}
}

func TestAReasonSaysWhereAndNothingOfGo(t *testing.T) {
	var out struct {
		Rows []struct {
			N int       `json:"n"`
			T time.Time `json:"t"`
		} `json:"rows"`
	}
	for doc, want := range map[string]string{
		`{"rows":[{"n":1},{"n":"x"}]}`: "at /rows/1/n: a JSON string that does not belong there",
		`{"rows":[{"n":{}}]}`:          "at /rows/0/n: a JSON object that does not belong there",
		`{"rows":[{"n":1e30}]}`:        "at /rows/0/n: ",
		`{"rows":[{"t":"soon"}]}`:      "at /rows/0/t: ",
		`{"rows":`:                     "unexpected EOF",
	} {
		err := fastjson.Unmarshal([]byte(doc), &out)
		require.Error(t, err, doc)
		require.Contains(t, fastjson.Reason(err), want, doc)
		require.NotContains(t, fastjson.Reason(err), "Go ", doc)
	}
}
