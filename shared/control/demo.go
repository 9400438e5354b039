package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/sluicehq/sluice/shared/store"
)

// DemoSource is the only source that the demo creates and removes, and DemoName its name.
const (
	DemoSource = "demo"
	DemoName   = "Sluice demo"
)

// LeftByDemo says what a source is whose stand-in has stopped. It continues a sentence about the source.
const LeftByDemo = "sluice demo made it, and its site has stopped: its pages can be searched, not synced"

// DemoOwner returns how the stand-in of an installation's demo names its owner.
func DemoOwner(installation string) string {
	sum := sha256.Sum256([]byte("sluice demo of " + installation))
	return "sluice demo " + hex.EncodeToString(sum[:8])
}

// Installed knows the id of the installation, as Ledger does.
type Installed interface {
	Installation(ctx context.Context, look bool) (string, error)
}

// OfDemo reports whether the demo has made a source, and whether its stand-in still runs. An open port is no proof:
// another program can have it by now, even the demo of another installation.
func OfDemo(ctx context.Context, in Installed, src store.Source) (is, runs bool) {
	u, err := url.Parse(src.BaseURL)
	if err != nil || src.ID != DemoSource || src.DisplayName != DemoName || u.Hostname() != "127.0.0.1" {
		return false, false
	}
	installation, err := in.Installation(ctx, true)
	return true, err == nil && installation != "" && ownerOf(ctx, u.Host) == DemoOwner(installation)
}

// ownerOf returns the owner of the stand-in at a host, "" if there is none.
func ownerOf(ctx context.Context, host string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/_sandbox/", nil)
	if err != nil {
		return ""
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	var overview struct {
		Owner string `json:"owner"`
	}
	if json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&overview) != nil {
		return ""
	}
	return overview.Owner
}
