//go:build foreign

package cli_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/services/extractor/extract/extracttest"
)

const (
	tikaJar = "https://repo.maven.apache.org/maven2/org/apache/tika/tika-server-standard/3.3.2/tika-server-standard-3.3.2.jar"
	tikaSum = "cdbe7fde72583dec8528f9c0ed962cacb7f6624f9900b1f733df638410f77540"
)

// tika downloads Apache Tika's server and runs it. It needs Java 11 or newer.
func tika(t *testing.T) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	resp, err := client.Get(tikaJar)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	jar, sum := filepath.Join(t.TempDir(), "tika.jar"), sha256.New()
	f, err := os.Create(jar)
	require.NoError(t, err)
	_, err = io.Copy(io.MultiWriter(f, sum), resp.Body)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, tikaSum, hex.EncodeToString(sum.Sum(nil)))

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	cmd := exec.CommandContext(t.Context(), "java", "-jar", jar, "--host", "127.0.0.1", "--port", port, "--noFork")
	require.NoError(t, cmd.Start(), "this test needs Java")
	t.Cleanup(func() { _ = cmd.Wait() }) // the end of the test's context has killed it
	address := "http://127.0.0.1:" + port
	require.Eventually(t, func() bool {
		resp, err := client.Get(address + "/version")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	}, time.Minute, 100*time.Millisecond)
	return address
}

// A real Tika reads what the extractor does not.
func TestForeignTika(t *testing.T) {
	p := newPerson(t)
	_, stop := p.up()
	t.Cleanup(stop)
	put := func(name, content string) string {
		file := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		return file
	}
	rtf := put("old.rtf", `{\rtf1\ansi\ansicpg1252 The \'dcbergabe is at noon.\par The sea cow sleeps.}`)
	const office = `xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"`
	cell := func(s string) string { return `<table:table-cell><text:p>` + s + `</text:p></table:table-cell>` }
	odt := put("plan.odt", string(extracttest.Zip(
		extracttest.Entry{Name: "mimetype", Content: "application/vnd.oasis.opendocument.text"},
		extracttest.Entry{Name: "content.xml", Content: `<?xml version="1.0" encoding="UTF-8"?><office:document-content ` + office + `><office:body><office:text>` +
			`<text:h text:outline-level="1">Plan</text:h><text:p>The walrus is counted, 海牛.</text:p><table:table><table:table-row>` + cell("Ware") + cell("Price") +
			`</table:table-row><table:table-row>` + cell("Anchor") + cell("12") + `</table:table-row></table:table></office:text></office:body></office:document-content>`},
		extracttest.Entry{Name: "META-INF/manifest.xml", Content: `<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>`},
	)))
	add := []string{"document", "add", rtf, odt, "--source", "files"}
	code, _, said := p.types(add...)
	require.Equal(t, 1, code)
	require.Contains(t, said, "save it as docx")

	p.env["EXTRACTOR_URL"] = tika(t)
	require.Contains(t, p.sees(add...), "plan.odt is stored")
	found := p.sees("search", "sea cow", "--kind", "document", "--file-type", "rtf")
	require.Contains(t, found, "old.rtf")
	require.Contains(t, found, "Übergabe")
	require.NotContains(t, found, "\uFFFD")
	found = p.sees("search", "walrus anchor", "--file-type", "opendocument", "--kind", "document")
	require.Contains(t, found, "Plan")
	require.Contains(t, found, "海牛")

	// Truncated, it is refused as damaged; a server that is gone is named.
	code, _, said = p.types("document", "add", put("cut.odt", string(extracttest.Zip(
		extracttest.Entry{Name: "mimetype", Content: "application/vnd.oasis.opendocument.text"}, extracttest.Entry{Name: "content.xml", Content: "<office:document-content"},
	))), "--source", "files")
	require.Equal(t, 1, code)
	require.Contains(t, said, "cut.odt is not stored")
	p.env["EXTRACTOR_URL"] = "http://127.0.0.1:1"
	code, _, said = p.types("document", "add", put("new.rtf", `{\rtf1 new}`), "--source", "files")
	require.Equal(t, 1, code)
	require.Contains(t, said, "EXTRACTOR_URL")
}
