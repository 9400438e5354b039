package localpg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	mavenCentral = "https://repo1.maven.org/maven2"
	// pinnedMajor is what a new cluster is made with. It is vectorMajor, so that it can have pgvector.
	pinnedMajor = 18
	// maxDownload is far above an archive's size, and small enough to be harmless.
	maxDownload = 128 << 20
)

// artifact is one archive of binaries: a jar that holds one .txz.
type artifact struct {
	version  string
	platform string
	sha256   string
}

// pinned are the known archives, by major version and GOOS/GOARCH: the newest, and those whose clusters people
// have. They are built by github.com/zonkyio/embedded-postgres-binaries and published on Maven Central.
var pinned = map[int]map[string]artifact{
	18: {
		"linux/amd64":  {"18.4.0", "linux-amd64", "401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212"},
		"linux/arm64":  {"18.4.0", "linux-arm64v8", "a9ec284923b9a7d2db41509bfb88c3d0eeb9f4aa5e2b29ea0aac5e8dbaf4c335"},
		"darwin/amd64": {"18.4.0", "darwin-amd64", "68381ed1488edd337345c6c4bc6ae0c823832a4dd7af8b04656ee5c218c291b5"},
		"darwin/arm64": {"18.4.0", "darwin-arm64v8", "ab698c4486a795d2aa8a158b3a41e1201a77e7ff72a6255094cd5900080853c2"},
	},
	17: {
		"linux/amd64":  {"17.11.0", "linux-amd64", "0dd7b72b6f335b8ecfb355fa24c5781e8a93edd09880bb77eb52ebbf29b3e96d"},
		"linux/arm64":  {"17.11.0", "linux-arm64v8", "8b042e0ea418b1927d95399207950da0734d27fe01e29503ade3bdc464ad4c2b"},
		"darwin/amd64": {"17.11.0", "darwin-amd64", "d464ff178e9860ba204662ac23fa547504b7fd392392ff2fb92e3fd73b5bdb64"},
		"darwin/arm64": {"17.11.0", "darwin-arm64v8", "a1c2786acb0c398f9b2d76806fc52f5dc8b222cbc8e9383a9b9702084daaf3a5"},
	},
}

// downloadable names the major versions that can be downloaded.
func downloadable() string {
	var names []string
	for _, major := range slices.Sorted(maps.Keys(pinned)) {
		names = append(names, strconv.Itoa(major))
	}
	return strings.Join(names, " and ")
}

func (a artifact) url(base string) string {
	name := "embedded-postgres-binaries-" + a.platform
	return fmt.Sprintf("%s/io/zonky/test/postgres/%s/%s/%s-%s.jar",
		strings.TrimSuffix(base, "/"), name, a.version, name, a.version)
}

// download gets the binaries of a major version for this platform and returns their bin folder.
func download(ctx context.Context, o Options, major int) (string, error) {
	if o.artifact != nil {
		return o.artifact.fetch(ctx, o)
	}
	a, ok := pinned[major][runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("there is no download for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	return a.fetch(ctx, o)
}

// fetch gets the archive and returns its bin folder.
func (a artifact) fetch(ctx context.Context, o Options) (string, error) {
	place, err := parcel{
		folder: "postgres-" + a.version + "-" + a.platform,
		title:  "PostgreSQL " + strings.TrimSuffix(a.version, ".0"),
		url:    a.url(o.DownloadBase),
		sha256: a.sha256,
		unpack: unpackJar,
	}.fetch(ctx, o)
	return filepath.Join(place, "bin"), err
}

// Archive is a download that EnsureBinaries does not need: a zip file at an address. It is for a server with
// an extension, and for other files that are downloaded once, such as a sentence model.
type Archive struct {
	Name    string   // its folder in the cache; must not begin with "postgres-", because search uses such folders
	Title   string   // the name in messages
	URL     string   // an https address
	SHA256  string   // of the zip file, in hex
	Folders []string // the folders of the zip file that are unpacked, with a slash at the end
	Bin     string   // the folder in it that FetchArchive returns, such as that of postgres and initdb
}

// FetchArchive downloads, checks and unpacks an archive into o.CacheDir, unless it is already there, and
// returns its folder Bin, for a server as Options.BinDir.
func FetchArchive(ctx context.Context, o Options, a Archive) (string, error) {
	o, err := o.defaults()
	if err != nil {
		return "", err
	}
	place, err := parcel{
		folder: a.Name, title: a.Title, url: a.URL, sha256: a.SHA256,
		unpack: func(ctx context.Context, file, dir string) error { return unpackZip(ctx, file, dir, a.Folders) },
	}.fetch(ctx, o)
	return filepath.Join(place, filepath.FromSlash(a.Bin)), err
}

// parcel is anything that is downloaded and unpacked into a folder of its own.
type parcel struct {
	folder string
	title  string
	url    string
	sha256 string
	unpack func(ctx context.Context, file, dir string) error
}

// fetch downloads, checks and unpacks the parcel into a folder of o.CacheDir. It works in a temporary
// folder and moves the result there when it is complete: if two processes do this concurrently, the
// first one wins, and the other uses its result.
func (p parcel) fetch(ctx context.Context, o Options) (string, error) {
	place := filepath.Join(o.CacheDir, p.folder)
	if _, err := os.Stat(place); err == nil {
		return place, nil
	}
	if err := mkdirOpen(o.CacheDir); err != nil {
		return "", fmt.Errorf("making the folder for downloads: %w", err)
	}
	sweep(o.CacheDir)
	work, err := os.MkdirTemp(o.CacheDir, workPrefix)
	if err != nil {
		return "", fmt.Errorf("making a folder for the download: %w", err)
	}
	defer os.RemoveAll(work)
	file := filepath.Join(work, "archive")
	if err := p.get(ctx, o, file); err != nil {
		return "", err
	}
	tree := filepath.Join(work, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil { //nolint:gosec // Postgres, as another user, reads its programs
		return "", fmt.Errorf("unpacking %s: %w", p.title, err)
	}
	if err := p.unpack(ctx, file, tree); err != nil {
		return "", fmt.Errorf("unpacking %s: %w", p.title, err)
	}
	if err := os.Rename(tree, place); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("keeping %s, unpacked: %w", p.title, err)
	}
	return place, nil
}

// get downloads the archive into file and checks it. An archive with another checksum is never opened.
func (p parcel) get(ctx context.Context, o Options, file string) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Minute, errors.New("the download takes too long"))
	defer cancel()
	url := p.url
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("downloading %s: %w", p.title, err)
	}
	// A transport of its own, so that no connection stays open. Its timeouts are short: without a
	// network, people wait for advice, not for a download.
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("downloading %s: %w", p.title, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("downloading %s: %s answers %s", p.title, url, resp.Status)
	}
	size := ""
	if resp.ContentLength > 0 {
		size = fmt.Sprintf(" (%d MB)", (resp.ContentLength+500_000)/1_000_000)
	}
	o.Notice("Downloading " + p.title + size + " …")
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // its own download folder
	if err != nil {
		return fmt.Errorf("downloading %s: %w", p.title, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(resp.Body, maxDownload))
	if err != nil {
		return fmt.Errorf("downloading %s: %w", url, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.sha256 {
		return fmt.Errorf("downloading %s: the %d bytes received have SHA-256 %s, expected %s", url, n, got, p.sha256)
	}
	return nil
}

const workPrefix = ".download-"

// sweep removes the leftovers of interrupted downloads. A failure is harmless.
func sweep(cacheDir string) {
	left, _ := filepath.Glob(filepath.Join(cacheDir, workPrefix+"*"))
	for _, dir := range left {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(dir)
		}
	}
}
